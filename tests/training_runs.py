"""Short training runs as processes, and what they leave in their work folders."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from processes import ONE_DEVICE, cluster_options
from short_run import SHORT

from digits_jax.train.checkpoints import open_checkpoints
from digits_jax.train.workdir import read_metrics

STEPS = SHORT.steps


def start_run(
    workdir: Path, environment: dict[str, str], steps: int = STEPS, *options: str
) -> subprocess.Popen[str]:
    """Starts a short run."""
    script = Path(__file__).with_name("short_run.py")
    command = [sys.executable, str(script), str(workdir), str(steps), *options]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def start_processes(
    workdir: Path, environment: dict[str, str], count: int, steps: int = STEPS
) -> list[subprocess.Popen[str]]:
    """Starts a short run of several processes, each with one device, on this host."""
    environment = {**environment, **ONE_DEVICE}
    return [start_run(workdir, environment, steps, *options) for options in cluster_options(count)]


def run_to_end(workdir: Path, environment: dict[str, str], steps: int = STEPS) -> str:
    """Runs to the last step, and returns the messages."""
    process = start_run(workdir, environment, steps)
    _, messages = process.communicate(timeout=600)
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


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits until the condition holds, as long as the process lives."""
    deadline = time.monotonic() + 600  # a start takes minutes on a very busy machine
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def count_evaluations(workdir: Path) -> int:
    """Returns the number of lines of `metrics.jsonl`."""
    return len(read_metrics(workdir / "metrics.jsonl"))


def wait_for_evaluations(workdir: Path, rows: int, process: subprocess.Popen[str]) -> None:
    """Waits until a run has done so many evaluations."""
    wait_for(lambda: count_evaluations(workdir) >= rows, process)
