"""How much time do large images, the pyramid of scales and a cold start cost in detection?

Measures three things: the time of a window in the response maps of larger and larger images; the
exhaustive search (`method="windows"`) for digits of 15 to 100 px, compared with the response maps
of the same scales alone; and the command in a new process, compared with a process that only
imports JAX. The command runs with its compiled programs cached, and with an empty cache folder, as
it does the first time ever.

Command:   python -m experiments.benchmarks.detection_speed
Hardware:  2 CPU cores, otherwise idle.
Time:      10 to 25 minutes on 2 cores, most of them for 4096×4096 pixels.
Result:    experiments/results/detection_speed.json; `speed_requirements` holds what is required.
"""

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro
from PIL import Image

from digits_jax.data import scenes
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detector import detect
from digits_jax.detect.peaks import pyramid_levels, pyramid_sizes
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.models.fcn.tiling import map_size
from digits_jax.models.weights import load_pretrained
from experiments.common.interleave import Call, Contender, interleaved_rates, rate_ratio
from experiments.common.provenance import provenance, write_result

EXHAUSTIVE = dataclasses.replace(DEFAULT_CONFIG, method="windows", min_size=15.0, max_size=100.0)


def main(
    sides: tuple[int, ...] = (512, 2048, 4096),
    side: int = 300,
    rounds: int = 7,
    rounds_of_sides: int = 3,
    first_starts: int = 3,
) -> None:
    """Measures window times, the exhaustive search and the starts, one after the other.

    Args:
        sides: Sides of the images whose window times are measured, px.
        side: Side of the image in which the exhaustive search is timed, px.
        rounds: Rounds of the exhaustive search and of the cold start.
        rounds_of_sides: Rounds of the window times.
        first_starts: Number of starts with an empty cache folder.
    """
    result = {
        "question": "What do images' sizes, the pyramid and a cold start cost in detection?",
        **provenance(),
        "rounds": rounds,
        "rounds_of_sides": rounds_of_sides,
        "time_of_a_window": _window_times(sides, rounds_of_sides),
        "detect_in_times_of_its_maps": _detect_over_maps(side, rounds),
        "cold_start": _cold_start(rounds, first_starts),
    }
    print(write_result("detection_speed", result))


def _window_times(sides: tuple[int, ...], rounds: int) -> dict[str, object]:
    contenders: dict[str, Contender] = {str(s): partial(_maps, (s,)) for s in sides}
    # Blocks of 5 s take several small images, whose rate is then as steady as a large one's.
    rates = interleaved_rates(contenders, rounds, block_seconds=5.0, warm_up=1)
    windows = {s: [map_size(int(s)) ** 2 * r for r in each] for s, each in rates.items()}
    first = str(sides[0])
    return {
        "microseconds": {s: round(1e6 / statistics.median(each), 1) for s, each in windows.items()},
        "first": int(first),
        "times_as_long": {s: rate_ratio(windows, first, s) for s in windows if s != first},
    }


def _detect_over_maps(side: int, rounds: int) -> dict[str, object]:
    low, high = EXHAUSTIVE.min_size, EXHAUSTIVE.max_size
    sizes = pyramid_sizes(low, high, side, EXHAUSTIVE.peaks)
    levels = [level.height for level in pyramid_levels((side, side), sizes, EXHAUSTIVE.peaks)]
    contenders: dict[str, Contender] = {
        "detect": partial(_detect, side),
        "maps": partial(_maps, tuple(levels)),
    }
    rates = interleaved_rates(contenders, rounds, block_seconds=3.0, warm_up=1)
    return {"side": side, "levels": levels, **rate_ratio(rates, "maps", "detect")}


def _cold_start(rounds: int, first_starts: int) -> dict[str, object]:
    scene = scenes.compose("native", "validation", 1, seed=0)[0].image
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "scene.png"
        Image.fromarray(scene).save(image)
        program = Path(sys.executable).with_name("digits-jax")
        detect_command = [str(program), "detect", str(image)]
        commands = {
            "digits-jax detect": detect_command,
            "import jax": [sys.executable, "-c", "import jax; jax.devices()"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for round_ in range(rounds + 1):
            for name, command in commands.items():
                duration = _run_seconds(command)
                if round_:  # the first one compiles
                    seconds[name].append(duration)
        first = "digits-jax detect, first time"
        caches = (str(Path(folder) / f"cache-{number}") for number in range(first_starts))
        seconds[first] = [_run_seconds(detect_command, cache) for cache in caches]
    return {
        "image": list(scene.shape),
        "seconds_median": {name: round(statistics.median(s), 2) for name, s in seconds.items()},
        "seconds": {name: [round(s, 2) for s in each] for name, each in seconds.items()},
    }


def _run_seconds(command: list[str], cache: str | None = None) -> float:
    """Runs a command and returns its duration; `cache` is a cache folder other than the user's."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    if cache is not None:
        environment["DIGITS_JAX_CACHE"] = cache
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def _maps(sides: tuple[int, ...]) -> Call:
    params = load_pretrained()
    images = [jax.device_put(_noise(side)[None, ..., None]) for side in sides]
    maps = jax.jit(response_maps)
    return lambda: [jax.block_until_ready(maps(params, image)) for image in images]


def _detect(side: int) -> Call:
    params, image = load_pretrained(), _noise(side)
    return lambda: detect(params, image, config=EXHAUSTIVE)


def _noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((side, side), np.float32)


if __name__ == "__main__":
    tyro.cli(main)
