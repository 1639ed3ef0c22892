"""Does `digits-jax detect` find the same in bulk, by any number of processes, killed or not?

Draws pictures with a few digits each and searches them with `digits-jax detect` in one, two and
four processes on this host. Of two and of four, one is killed (SIGKILL) midway: process 1, whose
loss stops no other, and process 0, whose loss stops all. Each of these runs is resumed with another
number of processes. All files must hold each picture exactly once, with the same digits.

Command:   python -m experiments.studies.bulk_detection
Hardware:  any; POSIX.
Time:      25 minutes on 2 cores with other work on them.
Result:    experiments/results/bulk_detection.json. Its figures are counts; nothing is timed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import tyro
from PIL import Image

from digits_jax.data.scenes import compose
from digits_jax.runtime.progress import log, progress
from experiments.common.provenance import ROOT, provenance, write_result

DATASET, SPLIT, SEED = "native", "test", 0
ONE_DEVICE = "--xla_force_host_platform_device_count=1"


class Run(NamedTuple):
    """A run of several processes, and how it goes."""

    processes: int
    killed: int | None = None  # the process that is killed once half of its share is written
    resumed_with: int = 1  # processes


RUNS = {
    "1": Run(1),
    "2": Run(2),
    "4": Run(4),
    "2, process 1 killed, resumed with 1": Run(2, killed=1, resumed_with=1),
    "4, process 3 killed, resumed with 2": Run(4, killed=3, resumed_with=2),
    "4, process 0 killed, resumed with 3": Run(4, killed=0, resumed_with=3),
}


def main(count: int = 10_000) -> None:
    """Searches the pictures in all runs, and compares the files.

    Args:
        count: Number of pictures.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number, scene in enumerate(compose(DATASET, SPLIT, count, SEED)):
            Image.fromarray(scene.image).save(pictures / f"{number:06}.png")
        names = sorted(map(str, pictures.iterdir()))
        expected: list[dict[str, Any]] = []
        runs: dict[str, dict[str, Any]] = {}
        for name, run in progress(RUNS.items(), "run", len(RUNS)):
            output = Path(folder) / f"{len(runs)}.jsonl"
            outcome = _search(run, pictures, output)
            rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
            expected = expected or rows
            runs[name] = outcome | _compare(rows, expected, names)
            log(f"{name}: {runs[name]}")
    result = {
        "question": "Do any numbers of processes, killed or not, find the same in bulk?",
        **provenance(),
        "dataset": DATASET,
        "split": SPLIT,
        "seed": SEED,
        "pictures": count,
        "digits_found": sum(len(row["detections"]) for row in expected),
        "runs": runs,
    }
    print(write_result("bulk_detection", result))


def _search(run: Run, pictures: Path, output: Path) -> dict[str, Any]:
    """Searches the pictures; returns the exit statuses, and what was done when a run was killed."""
    processes = _start(run.processes, pictures, output)
    if run.killed is None:
        return {"exit_statuses": _end(processes, may_fail=False)}
    part = output.with_name(f"{output.name}.part-{run.killed}")
    share = len(list(pictures.iterdir())) // run.processes
    while _count_lines(part) < share // 2:
        if processes[run.killed].poll() is not None:
            sys.exit(f"process {run.killed} ended before it was killed")
        time.sleep(0.05)
    processes[run.killed].send_signal(signal.SIGKILL)
    statuses = _end(processes, may_fail=True)
    parts = sorted(output.parent.glob(f"{output.name}.part*"))
    resumed = _start(run.resumed_with, pictures, output, "--resume")
    return {
        "exit_statuses": statuses,
        "finished_before_resuming": [_count_lines(path) for path in parts],
        "exit_statuses_resumed": _end(resumed, may_fail=False),
    }


def _start(count: int, pictures: Path, output: Path, *options: str) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", "from digits_jax.cli.main import main; main()"]
    command += ["detect", str(pictures), "--output", str(output), *options]
    if count > 1:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        command += ["--coordinator", f"localhost:{port}", "--num-processes", str(count)]
    processes = []
    for number in range(count):
        own = ["--process-id", str(number)] if count > 1 else []
        processes.append(
            subprocess.Popen(
                [*command, *own],
                cwd=ROOT,
                env={**os.environ, "XLA_FLAGS": ONE_DEVICE},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def _end(processes: list[subprocess.Popen[str]], *, may_fail: bool) -> list[int]:
    """Waits for the end of all processes, and returns their exit statuses."""
    messages = [process.communicate()[1] for process in processes]
    statuses = [process.returncode for process in processes]
    if any(statuses) and not may_fail:
        sys.exit(f"a process failed, {statuses}:\n" + "\n".join(messages))
    return statuses


def _count_lines(part: Path) -> int:
    return part.read_bytes().count(b"\n") if part.exists() else 0


def _compare(
    rows: list[dict[str, Any]], expected: list[dict[str, Any]], pictures: list[str]
) -> dict[str, Any]:
    """Counts the pictures that a file holds once, and those whose digits are as expected."""
    times = Counter(row["image"] for row in rows)
    found = {row["image"]: row for row in rows}
    pairs = [(found[row["image"]], row) for row in expected if row["image"] in found]
    same = [pair for pair in pairs if _without_scores(pair[0]) == _without_scores(pair[1])]
    differences = [
        abs(digit["score"] - other["score"]) / other["score"]
        for row, other_row in same
        for digit, other in zip(row["detections"], other_row["detections"], strict=True)
    ]
    return {
        "lines": len(rows),
        "pictures_exactly_once": sum(times[picture] == 1 for picture in pictures),
        "in_the_order_of_the_pictures": [row["image"] for row in rows] == pictures,
        "pictures_with_the_same_labels_and_boxes": len(same),
        "largest_relative_difference_of_scores": max(differences, default=0.0),
        "same_as_the_first": rows == expected,
    }


def _without_scores(row: dict[str, Any]) -> dict[str, Any]:
    digits = [{"label": digit["label"], "box": digit["box"]} for digit in row["detections"]]
    return {**row, "detections": digits}


if __name__ == "__main__":
    tyro.cli(main)
