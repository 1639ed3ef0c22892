"""Short training runs as processes, and what they leave in their work folders."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from short_run import SHORT

from digits_jax.train.checkpoints import open_checkpoints
from digits_jax.train.workdir import read_metrics

STEPS = SHORT.steps


def start_run(
    workdir: Path, environment: dict[str, str], steps: int = STEPS
) -> subprocess.Popen[str]:
    """Starts a short run."""
    script = Path(__file__).with_name("short_run.py")
    command = [sys.executable, str(script), str(workdir), str(steps)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def run_to_end(workdir: Path, environment: dict[str, str], steps: int = STEPS) -> str:
    """Runs to the last step, and returns the messages."""
    process = start_run(workdir, environment, steps)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    return messages


def final_state(workdir: Path) -> list[np.ndarray]:
    """Returns the arrays of the newest checkpoint's state."""
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with open_checkpoints(workdir, read_only=True) as checkpoints:
        state, _ = checkpoints.restore(checkpoints.steps()[-1], SHORT, sharding)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def metrics_without_times(workdir: Path) -> list[dict[str, float]]:
    """Returns the lines of `metrics.jsonl` without what depends on the machine's speed."""
    rows = [row._asdict() for row in read_metrics(workdir / "metrics.jsonl")]
    times = ("seconds", "images_per_second")
    return [{name: row[name] for name in row if name not in times} for row in rows]


def same_arrays(mine: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Returns whether all arrays are equal, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(mine, other, strict=True))


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Returns the time of change in ns and the content of every file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
