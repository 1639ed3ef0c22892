"""The parts of `accelerator`, each run in a process of its own, which prints its result as JSON.

Command:   python -m experiments.benchmarks.accelerator_parts PART [--small]
Hardware:  one GPU; with --small two CPU cores.
Time:      accelerator.py says how long each part takes.
Result:    one line of JSON on standard output: `figures`, by the names of the requirements in
           accelerator.py, and what else was measured.
"""

import importlib.util
import json
import multiprocessing as mp
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro
from jax import lax

from digits_jax.data import scenes
from digits_jax.data.mnist import load_mnist
from digits_jax.detect.component_search import search_images
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crop_classifier import (
    Crops,
    Readings,
    classify_block,
    crop_classifier,
    crop_mesh,
)
from digits_jax.detect.detector import Detector
from digits_jax.eval.tasks import make_tasks
from digits_jax.eval.throughput import device_counts, measure, to_rows
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.runtime.hardware import usable_cores
from digits_jax.runtime.progress import log
from digits_jax.train.config import SHARES
from digits_jax.train.workdir import read_metrics
from experiments.benchmarks.training_speed import OURS, measure_batch
from experiments.common.provenance import provenance

Grey = np.ndarray
Figures = dict[str, Any]
# What `--small` leaves of a run: two steps, of digits alone, since all else has to be drawn.
SMALL_RUN = ["--steps", "2", "--evaluate-every", "2", "--batch-size", "8"]
SMALL_RUN += [
    word
    for field in (*SHARES, "neighbours", "other_hands", "isolated_digits")
    for word in (f"--{field.replace('_', '-')}", "0")
]
MAX_PROCESSES = 8  # that detect at once, two cores each


def header(small: bool) -> Figures:
    """Returns where the results are from. It gets MNIST, too, so that no part waits for it."""
    load_mnist()
    return provenance()


def train_run(config: str, small: bool) -> Figures:
    """Trains from a new process, whose caches of compiled programs are empty, and times it all."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/programs"}
        environment["CUDA_CACHE_PATH"] = f"{folder}/cuda"
        environment.pop("XLA_PYTHON_CLIENT_PREALLOCATE", None)  # as a user's process
        program = "from digits_jax.cli.main import main; main()"
        workdir = Path(folder) / "run"
        options = ["--config", config, "--workdir", str(workdir), *(SMALL_RUN if small else [])]
        begun = time.perf_counter()
        process = subprocess.run(
            [sys.executable, "-c", program, "train", *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        seconds = time.perf_counter() - begun
        if process.returncode:
            sys.exit(process.stderr)
        rows = read_metrics(workdir / "metrics.jsonl")
    return {
        "figures": {f"{config}_seconds": round(seconds, 2)},
        "steps": rows[-1].step,
        "seconds_by_its_own_count": round(rows[-1].seconds, 2),
        "images_per_second_median": statistics.median(row.images_per_second for row in rows),
        "test_accuracy": rows[-1].test_accuracy,
    }


def peer(batch_size: int, small: bool) -> Figures:
    """Trains in turn with PyTorch, compiled and replayed as a CUDA graph, if it is installed."""
    has_torch = importlib.util.find_spec("torch") is not None
    rounds, block_seconds, size = (1, 0.02, 8) if small else (7, 0.5, batch_size)
    result = measure_batch(rounds, size, block_seconds, with_peers=has_torch)
    return {
        "figures": {f"training_{batch_size}": result.get("ratio_median")},
        "torch": version("torch") if has_torch else "not installed",
        "batch_size": size,
        "images_per_second_of_ours": result["images_per_second_median"][OURS],
        **result,
    }


def maps(precision: lax.Precision, small: bool) -> Figures:
    """Times the maps of one large image, in turn with a large product of the same precision."""
    side, rounds = (44, 2) if small else (2048, 7)
    task = next(make_tasks(load_pretrained(), 1, (), (side,), precision))
    (measurement,) = measure([task], rounds, log)
    dtype = "bfloat16" if precision is lax.Precision.DEFAULT else "float32"
    return {
        "figures": {f"maps_{dtype}": measurement.matmul_share},
        "rows": to_rows([measurement]),
    }


def detection(small: bool) -> Figures:
    """Searches scenes of `mnist-od` in one process, and in several that share the device.

    Small scenes are of `native`, whose few digits need few of the programs that classify crops.
    """
    dataset, count, passes = ("native", 2, 1) if small else ("mnist-od", 256, 3)
    composed = scenes.compose(dataset, "test", count, seed=0)
    images = [scene.image for scene in composed]
    detector = Detector(load_pretrained())
    _seconds(partial(_detect, detector, images))  # compiles
    seconds = [_seconds(partial(_detect, detector, images)) for _ in range(passes)]
    processes = 2 if small else max(1, min(MAX_PROCESSES, (usable_cores() or 2) // 2))
    together = _detect_in_processes(images, processes)
    return {
        "figures": {"scenes_per_second": round(count / statistics.median(seconds), 1)},
        "scenes": count,
        "seconds": [round(s, 2) for s in seconds],
        **_time_of_host(images[: max(2, count // 4)]),
        "processes": processes,
        "scenes_per_second_of_all_processes": round(count / together, 1),
    }


def scaling(small: bool) -> Figures:
    """Times everything on 1, 2, 4, … of the devices that there are, as `digits-jax benchmark`."""
    batch_sizes: Sequence[int] = () if small else (256,)  # other parts train with small sizes
    sides, rounds = ((28,), 1) if small else ((128,), 3)
    counts = device_counts(len(jax.devices()))
    params = load_pretrained()
    measurements = []
    for count in counts:
        tasks = make_tasks(params, count, batch_sizes, sides, lax.Precision.HIGHEST)
        measurements += measure(list(tasks), rounds, log)
    return {"figures": {}, "rows": to_rows(measurements)}


PARTS: dict[str, Callable[[bool], Figures]] = {
    "header": header,
    "train-paper": partial(train_run, "paper"),
    "train-standard": partial(train_run, "standard"),
    "peer-50": partial(peer, 50),
    "peer-256": partial(peer, 256),
    "maps-float32": partial(maps, lax.Precision.HIGHEST),
    "maps-bfloat16": partial(maps, lax.Precision.DEFAULT),
    "detection": detection,
    "scaling": scaling,
}


def _detect(detector: Detector, images: Sequence[Grey]) -> None:
    for _ in detector.detect_each((str(k), image) for k, image in enumerate(images)):
        pass


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _time_of_host(images: Sequence[Grey]) -> Figures:
    """Returns how long a scene takes the host, and how long it waits for the network."""
    constants = {"contact": DEFAULT_CONFIG.border_contact, "mesh": crop_mesh()}
    classify = crop_classifier(load_pretrained(), partial(classify_block, **constants), crop_mesh())
    waited = 0.0

    def read(crops: Sequence[Crops]) -> Readings:
        nonlocal waited
        begun = time.perf_counter()
        readings = classify(crops)
        waited += time.perf_counter() - begun
        return readings

    search_images(images, read, DEFAULT_CONFIG)  # compiles
    waited = 0.0
    seconds = _seconds(lambda: search_images(images, read, DEFAULT_CONFIG))
    return {
        "host_milliseconds_per_scene": round(1e3 * (seconds - waited) / len(images), 2),
        "network_milliseconds_per_scene": round(1e3 * waited / len(images), 2),
    }


def _detect_in_processes(images: Sequence[Grey], processes: int) -> float:
    """Returns the seconds in which several processes search all images, each its share."""
    context = mp.get_context("spawn")
    connections: list[Connection] = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        share = images[number::processes]
        context.Process(target=_detect_share, args=(share, theirs), daemon=True).start()
        theirs.close()
        connections.append(ours)
    for connection in connections:
        connection.recv()  # ready

    def search() -> None:
        for connection in connections:
            connection.send("go")
        for connection in connections:
            connection.recv()

    return _seconds(search)


def _detect_share(images: Sequence[Grey], connection: Connection) -> None:
    enable_compilation_cache()
    detector = Detector(load_pretrained())
    _detect(detector, images)  # compiles
    connection.send("ready")
    connection.recv()
    _detect(detector, images)
    connection.send("done")


def main(part: tyro.conf.Positional[Literal[tuple(PARTS)]], *, small: bool = False) -> None:  # type: ignore[valid-type]
    """Runs one part.

    Args:
        part: Its name.
        small: Whether to shrink all sizes, so that the part ends in seconds on two CPU cores.
    """
    enable_compilation_cache()  # `train_run` has an empty one
    print(json.dumps(PARTS[part](small)))


if __name__ == "__main__":
    tyro.cli(main)
