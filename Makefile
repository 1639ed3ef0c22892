# Each target explains itself: `make` alone lists them. To set on the command line: CONFIG (of
# training; formerly RECIPE), WORKDIR, SEED, DATA_DIR, IMAGE, ARGS (any more options of the command),
# JOBS (processes that run tests), ACCELERATOR (cpu, cuda12, cuda13, tpu), PYTHON.

PYTHON ?= python3
RECIPE ?= standard
CONFIG ?= $(RECIPE)
WORKDIR ?= runs/$(CONFIG)
SEED ?= 0
JOBS ?= 2
IMAGE ?= examples/digits.png
# Lists the PCI devices that are Google's TPUs, by the device numbers that JAX knows.
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

# Gives XLA's temporaries huge pages (glibc only): they are allocated anew in each step.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

BIN := .venv/bin
EXTRAS := $(patsubst %,[%],$(filter-out cpu,$(ACCELERATOR)))
INSTALLED := .venv/installed-$(ACCELERATOR)
DEVELOPING := .venv/installed-dev
BENCHING := .venv/installed-bench
DEMOING := .venv/installed-demo
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS)
DATA := $(if $(DATA_DIR),--data-dir $(DATA_DIR))

.DEFAULT_GOAL := help
.PHONY: help install train evaluate detect demo bench test test-slow test-all lint format hooks clean

help: ## List the targets
	@echo 'make TARGET [VARIABLE=value …]   (this host: ACCELERATOR=$(ACCELERATOR))'
	@sed -nE "s/^([a-z-]+):[^#]*## /  \1\t/p" $(MAKEFILE_LIST) | expand -t 14

install: $(INSTALLED) ## Create .venv with what the host needs (ACCELERATOR=)

# Makes the environment anew if it was made for another accelerator. Compiles on all cores, unlike
# pip: commands then start in half the time where Python may not write bytecode as it imports.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	"digits_jax needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@[ -e $@ ] || rm -rf .venv
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.$(EXTRAS)'
	-$(BIN)/python -m compileall -qq -j 0 .venv/lib
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

train: install ## Train on MNIST, evaluate, draw the curve (CONFIG= WORKDIR= SEED= DATA_DIR= ARGS=)
	$(BIN)/digits-jax train --config $(CONFIG) --workdir $(WORKDIR) --seed $(SEED) $(DATA) $(ARGS)

evaluate: install ## Count a trained network's errors on the test digits (WORKDIR= DATA_DIR=)
	$(BIN)/digits-jax evaluate $(WORKDIR) $(DATA)

detect: install ## Find the digits of an image and draw them in runs/detected (IMAGE= ARGS=)
	$(BIN)/digits-jax detect $(IMAGE) --annotate runs/detected $(ARGS)

demo: $(DEMOING) ## Serve a page to try it, to this machine alone (ARGS='--port N')
	$(BIN)/digits-jax demo $(ARGS)

bench: $(BENCHING) ## Time everything beside peers; fail where something is too slow (40 to 60 minutes)
	$(BIN)/digits-jax benchmark --plot runs/benchmark.png $(ARGS)
	$(BIN)/python -m experiments.benchmarks.training_speed
	$(BIN)/python -m experiments.benchmarks.map_speed
	$(BIN)/python -m experiments.benchmarks.detection_speed
	$(BIN)/python -m experiments.benchmarks.page_speed
	$(BIN)/python -m experiments.benchmarks.speed_requirements

test: $(DEVELOPING) ## Run the fast tests (5 minutes on 2 cores; ARGS= goes to pytest)
	$(PYTEST) --dist loadfile -m "not slow" $(ARGS)

test-slow: $(DEVELOPING) ## Run the slow tests
	$(PYTEST) --dist worksteal -m slow $(ARGS)

test-all: $(DEVELOPING) ## Run all tests (15 minutes on 2 cores)
	$(PYTEST) --dist worksteal $(ARGS)

lint: $(DEVELOPING) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(DEVELOPING) ## Repair style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(DEVELOPING) ## Check every commit: install the hooks of .pre-commit-config.yaml
	$(BIN)/pre-commit install

clean: ## Remove .venv and caches; runs/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
