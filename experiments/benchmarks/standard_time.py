"""How long does `standard` train, beside a former version of the package, in the same minutes?

Command:   GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m experiments.benchmarks.standard_time
Hardware:  2 CPU cores, or a GPU, otherwise idle; needs the history of the repository.
Time:      about 8 minutes on 2 cores.
Result:    experiments/results/standard_time.json: the milliseconds of a step of each version, the
           seconds to its first step, the minutes that its training takes, and their ratio.

The former version is that of 2026-11-28, whose documentation says that `make train` takes 26
minutes: 16,000 steps of 256 by Adam, all layers learning from all windows. Each version runs with
its own code and its own configuration, in a process of its own, and they take turns. The seconds to
the first step are those of a whole process: it starts, compiles, draws pictures and makes one step.
Evaluations and checkpoints are left out: they take less than a minute.
"""

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

import tyro

from digits_jax.runtime.devices import data_mesh
from digits_jax.train.multi_step import steps_per_dispatch
from digits_jax.train.named_configs import CONFIGS
from experiments.common.interleave import Call, interleaved_rates
from experiments.common.provenance import ROOT, provenance, write_result

FORMER_COMMIT = "37a74c6b"
STEPS = {"standard": CONFIGS["standard"].steps, "former": 16_000}
WORKER = ROOT / "experiments" / "common" / "training_worker.py"


def main(rounds: int = 15, block_seconds: float = 4.0) -> None:
    """Measures the steps of both versions in turn, and adds up what a training takes.

    Args:
        rounds: Number of rounds.
        block_seconds: Least seconds that each version trains for in a round.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes share the GPU
    with tempfile.TemporaryDirectory() as folder:
        extract_package(FORMER_COMMIT, Path(folder))
        sources = {"standard": ROOT, "former": Path(folder)}
        start_seconds = {name: seconds_to_first_step(source) for name, source in sources.items()}
        contenders = {name: partial(train, source) for name, source in sources.items()}
        rates = interleaved_rates(contenders, rounds, block_seconds, warm_up=5)
    per_call = steps_per_dispatch(data_mesh(CONFIGS["standard"].batch_size))
    seconds_a_step = {name: [1 / rate / per_call for rate in rates[name]] for name in rates}
    minutes = {
        name: [(start_seconds[name] + STEPS[name] * each) / 60 for each in seconds_a_step[name]]
        for name in rates
    }
    ratios = [a / b for a, b in zip(minutes["standard"], minutes["former"], strict=True)]
    result = {
        "environment": {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "former_commit": FORMER_COMMIT,
        "steps": STEPS,
        "seconds_to_the_first_step": {n: round(each, 1) for n, each in start_seconds.items()},
        "milliseconds_a_step": {
            name: round(1e3 * statistics.median(each), 1) for name, each in seconds_a_step.items()
        },
        "minutes": {name: round(statistics.median(each), 2) for name, each in minutes.items()},
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }
    question = "How long does `standard` train, beside the version that took 26 minutes?"
    print(result)
    print(write_result("standard_time", {"question": question, **provenance(), **result}))


def extract_package(commit: str, folder: Path) -> None:
    """Writes the package as it was at a commit into a folder."""
    command = ["git", "-C", str(ROOT), "archive", commit, "digits_jax"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def seconds_to_first_step(source: Path) -> float:
    """Returns how long a process takes that starts, makes its first step and ends.

    Raises:
      RuntimeError: the process has failed.
    """
    begun = time.perf_counter()
    with start_worker(source) as worker:
        worker.communicate("\n")
    if worker.returncode:
        raise RuntimeError(f"the training with the package in {source} has failed; see above")
    return time.perf_counter() - begun


def train(source: Path) -> Call:
    """Returns a call that makes as many steps as a dispatch has, always from the first.

    Raises (the call):
      RuntimeError: the process has failed.
    """
    worker = start_worker(source)
    requests, answers = worker.stdin, worker.stdout
    assert requests is not None
    assert answers is not None

    def call() -> None:
        print(file=requests, flush=True)
        if not answers.readline():
            raise RuntimeError(f"the training with the package in {source} has failed; see above")

    return call


def start_worker(source: Path) -> "subprocess.Popen[str]":
    """Starts `training_worker.py` with the package in a folder."""
    # -P keeps the worker's own folder, which is not the package's, out of the module path.
    return subprocess.Popen(
        [sys.executable, "-P", str(WORKER)],
        env=os.environ | {"PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    tyro.cli(main)
