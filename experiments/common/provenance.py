"""Writes and reads results as JSON, with their date, command, commit, hardware and versions."""

import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from digits_jax.runtime.files import write_text_atomically
from digits_jax.runtime.hardware import processor_name, usable_cores

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
SOURCES = ("digits_jax", ":(glob)experiments/**/*.py")  # what a commit has to hold as it ran


def provenance(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the header of a result: date, command, commit, hardware and versions.

    Args:
      packages: the packages whose versions matter, beside JAX, Flax, Optax and NumPy.
    """
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--", *SOURCES)
    names = ("jax", "jaxlib", "flax", "optax", "numpy", *packages)
    return {
        "date": datetime.date.today().isoformat(),
        "command": running_command(),
        "commit": commit + (" with uncommitted changes" if changed else ""),
        "hardware": {
            "processor": processor_name(),
            "cores": usable_cores(),
            "devices": [device.device_kind for device in jax.devices()],
        },
        "versions": {"python": platform.python_version()} | {n: version(n) for n in names},
    }


def running_command() -> str:
    """Returns the command line of this process, such as `python -m experiments.studies.accuracy`.

    The command is to be run in the repository's root.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # None unless run with -m
    program = ["-m", spec.name] if spec else [os.path.relpath(sys.argv[0], ROOT)]
    return shlex.join(["python", *program, *sys.argv[1:]])


def read_result(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """Reads a result that `write_result` wrote; returns an empty dictionary where there is none."""
    path = results / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_result(name: str, result: dict[str, Any], results: Path = RESULTS) -> Path:
    """Writes a result to NAME.json, by default in experiments/results, and returns the path.

    The file is written completely or not at all.
    """
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{name}.json"
    write_text_atomically(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return path


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
