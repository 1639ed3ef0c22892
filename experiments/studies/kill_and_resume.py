"""Does a run that is killed at any moment and continued end with the same bits?

Each round begins a short run of real digits in a process of its own, kills it (SIGKILL) at a random
moment between its start and its end, continues it, and compares the state of the last checkpoint
and the curve with those of a run that nothing stopped.

Command:   python -m experiments.studies.kill_and_resume
Hardware:  any; POSIX.
Time:      about 20 minutes on 2 cores.
Result:    experiments/results/kill_and_resume.json.
"""

import dataclasses
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import tyro

from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.runtime.progress import log, progress
from digits_jax.train.checkpoints import open_checkpoints
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.workdir import read_metrics
from experiments.common.provenance import ROOT, provenance, write_result

CONFIG = dataclasses.replace(CONFIGS["paper"], batch_size=16, steps=60, evaluate_every=4)
DIGITS = 500  # of each split, so that an evaluation takes no time
CHILD = "--child"


def main(rounds: int = 100, seed: int = 0) -> None:
    """Kills and continues runs, and counts those that end as the undisturbed one.

    Args:
        rounds: Number of runs that are killed.
        seed: Of the moments.
    """
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        _run(reference)  # fills the cache of compiled programs
        begun = time.monotonic()
        _run(Path(folder) / "again")
        duration = time.monotonic() - begun
        expected = _outcome(reference)
        log(f"an undisturbed run takes {duration:.1f} s")
        delays = [moments.uniform(0, duration) for _ in range(rounds)]

        def kill_and_continue(number: int) -> tuple[int | None, bool]:
            workdir = Path(folder) / str(number)
            rows = _run(workdir, kill_after_s=delays[number])
            _run(workdir)
            return rows, _outcome(workdir) == expected

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(progress(pool.map(kill_and_continue, range(rounds)), "round", rounds))
    result = {
        "question": "Does a run that is killed and continued end with the same bits?",
        **provenance(),
        "rounds": rounds,
        "identical": sum(same for _, same in outcomes),
        "killed": sum(rows is not None for rows, _ in outcomes),
        "killed_after_evaluations": Counter(rows for rows, _ in outcomes if rows is not None),
    }
    print(write_result("kill_and_resume", result))


def _run(workdir: Path, kill_after_s: float | None = None) -> int | None:
    """Runs to the end, or kills the run and returns the number of evaluations that it left."""
    command = [sys.executable, "-m", "experiments.studies.kill_and_resume", CHILD, str(workdir)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        _, messages = process.communicate(timeout=kill_after_s)
        if process.returncode:
            sys.exit(f"a run failed:\n{messages}")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return len(read_metrics(workdir / "metrics.jsonl"))
    return None


def _outcome(workdir: Path) -> tuple[str, str]:
    """Returns a hash of the last state, and the curve without times."""
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with open_checkpoints(workdir, read_only=True) as checkpoints:
        state, _ = checkpoints.restore(checkpoints.steps()[-1], CONFIG, sharding)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        digest.update(np.asarray(leaf).tobytes())
    evaluations = read_metrics(workdir / "metrics.jsonl")
    rows = [row._replace(seconds=0.0, images_per_second=0.0)._asdict() for row in evaluations]
    return digest.hexdigest(), json.dumps(rows)


def _train_on_few_digits(workdir: Path) -> None:
    enable_compilation_cache()
    splits = (Dataset(part.images[:DIGITS], part.labels[:DIGITS]) for part in load_mnist())
    train(CONFIG, workdir, mnist=Mnist(*splits))


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        _train_on_few_digits(Path(sys.argv[2]))
    else:
        tyro.cli(main)
