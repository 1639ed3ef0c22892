# `make train` and `make test` set up all that they need. To set on the command line: RECIPE,
# WORKDIR, SEED, DATA_DIR, IMAGE, ARGS (any more options), ACCELERATOR (cpu, cuda12, cuda13, tpu),
# PYTHON.

PYTHON ?= python3
RECIPE ?= standard
WORKDIR ?= runs/$(RECIPE)
SEED ?= 0
IMAGE ?= examples/digits.png
# Google's devices on the bus that are TPUs, by the numbers that JAX knows them by.
TPU_ON_PCI = $(shell for at in $$(grep -lsx 0x1ae0 /sys/bus/pci/devices/*/vendor); do \
  grep -sxE '0x00(27|56|5e|62|63|6f|76)' $${at%vendor}device; done)
ifndef ACCELERATOR
ACCELERATOR := $(shell \
  cuda=$$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA[A-Za-z ]*Version: *\([0-9][0-9]*\).*/\1/p'); \
  if [ -n "$$cuda" ] && [ "$$cuda" -ge 13 ]; then echo cuda13; \
  elif [ -n "$$cuda" ]; then echo cuda12; \
  elif [ -n "$$TPU_NAME" ] || [ -e /dev/accel0 ] || [ -n "$(TPU_ON_PCI)" ]; then echo tpu; \
  else echo cpu; fi)
endif

# Huge pages for XLA's temporaries, which are allocated anew in each step; other C libraries ignore it.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

BIN := .venv/bin
EXTRAS := $(patsubst %,[%],$(filter-out cpu,$(ACCELERATOR)))
INSTALLED := .venv/installed-$(ACCELERATOR)
DEVELOPING := .venv/installed-dev
BENCHING := .venv/installed-bench
DEMOING := .venv/installed-demo
DATA := $(if $(DATA_DIR),--data-dir $(DATA_DIR))

.PHONY: help install train evaluate detect demo bench test lint format clean

help:
	@echo 'make train     install, train on MNIST, evaluate, draw the curve  RECIPE= WORKDIR= SEED='
	@echo 'make evaluate  count a trained network'"'"'s errors                  WORKDIR='
	@echo 'make detect    find the digits of an image, draw them in runs/detected  IMAGE='
	@echo 'make demo      serve a page to try it on, to this machine alone   ARGS='"'"'--port N'"'"'
	@echo 'make bench     time everything, beside others, too, and say what is too slow'
	@echo 'make test      install, run the tests'
	@echo 'make lint      check style and types; make format repairs style'
	@echo 'make install   create .venv for what the host has                 ACCELERATOR=$(ACCELERATOR)'
	@echo 'make clean     remove .venv and caches; runs/ stays'

install: $(INSTALLED)

# An environment made for another accelerator is made anew, so that the choice always holds.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	"digits_jax needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@[ -e $@ ] || rm -rf .venv
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.$(EXTRAS)'
	@touch $@

$(DEVELOPING): pyproject.toml $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
	@touch $@

$(BENCHING): pyproject.toml $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[bench]'
	@touch $@

$(DEMOING): pyproject.toml $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[demo]'
	@touch $@

train: install
	$(BIN)/digits-jax train --recipe $(RECIPE) --workdir $(WORKDIR) --seed $(SEED) $(DATA) $(ARGS)

evaluate: install
	$(BIN)/digits-jax evaluate $(WORKDIR) $(DATA)

detect: install
	$(BIN)/digits-jax detect $(IMAGE) --annotate runs/detected $(ARGS)

demo: $(DEMOING)
	$(BIN)/digits-jax demo $(ARGS)

bench: $(BENCHING)
	$(BIN)/digits-jax benchmark --plot runs/benchmark.png $(ARGS)
	$(BIN)/python -m experiments.benchmarks.training_speed
	$(BIN)/python -m experiments.benchmarks.map_speed
	$(BIN)/python -m experiments.benchmarks.detection_speed
	$(BIN)/python -m experiments.benchmarks.musts

test: $(DEVELOPING)
	$(BIN)/python -m pytest

lint: $(DEVELOPING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(DEVELOPING)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
