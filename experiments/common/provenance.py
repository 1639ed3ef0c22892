"""What every result carries: where, when, by what code and command it was made."""

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

from digits_jax.runtime.hardware import processor_name

RESULTS = Path(__file__).parents[1] / "results"


def provenance(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Date, command, commit, hardware and versions, for a result's header."""
    root = Path(__file__).parents[2]
    commit = _output("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", str(root), "status", "--porcelain", "--", "digits_jax")
    names = ("jax", "jaxlib", "flax", "optax", "numpy", *packages)
    return {
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python", os.path.relpath(sys.argv[0], root), *sys.argv[1:]]),
        "commit": commit + (" with uncommitted changes" if changed else ""),
        "hardware": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "devices": [device.device_kind for device in jax.devices()],
        },
        "versions": {"python": platform.python_version()} | {n: version(n) for n in names},
    }


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Writes a result as JSON under experiments/results/."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
