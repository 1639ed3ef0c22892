"""How fast are digits found in pages, photographs and scans, beside other ways to find them?

Times pages of separated digits and scenes of overlapping ones with `detect`, with the exhaustive
search (`method="windows"`, digits of 15 to 100 px), with an OpenCV pipeline around our own
classifier in ONNX Runtime, and with RapidOCR restricted to digits. All run in turn and warm. Each
reads the page as it is, so that the time of `detect` holds that of normalising it.

A photograph and a scan are read from their JPEG files, normalised and searched in a process each,
warm. The scan's process has its peak memory measured.

Command:   python -m experiments.benchmarks.page_speed
Hardware:  2 CPU cores, otherwise idle; needs the extra [bench].
Time:      15 minutes on 2 cores, nearly all of them for the exhaustive search.
Result:    experiments/results/page_speed.json; `speed_requirements` holds what is required.
"""

import dataclasses
import multiprocessing as mp
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image
from digits_jax.models.weights import load_pretrained
from experiments.common.detection_peers import opencv_pipeline, rapidocr_digits
from experiments.common.interleave import Call, Contender, interleaved_rates, rate_ratio
from experiments.common.provenance import provenance, write_result
from experiments.common.synthetic_pages import (
    PAGE_DIGITS,
    draw_a4_scan,
    draw_phone_photo,
    draw_separated_page,
)

METHODS = ("detect", "windows", "opencv", "rapidocr")
OVERLAPPING = "mnist-od"
OVERLAPPING_SCENES = 4  # that are searched in one call
EXHAUSTIVE_SIZES = (15.0, 100.0)  # px: the digits that the exhaustive search finds
SPLIT, SEED = "validation", 0


def main(
    sides: tuple[int, ...] = tuple(PAGE_DIGITS), rounds: int = 3, file_rounds: int = 7
) -> None:
    """Measures pages, overlapping digits, the photograph and the scan, one after the other.

    Args:
        sides: Sides of the pages of separated digits, px.
        rounds: Rounds in which all methods search the pages and the scenes in turn.
        file_rounds: Number of times that the photograph and the scan are read and searched.
    """
    result = {
        "question": "How fast are digits found in pages, photographs and scans?",
        **provenance(["onnxruntime", "opencv-python-headless", "rapidocr"]),
        "rounds": rounds,
        "file_rounds": file_rounds,
        "separated": {str(side): _compare(str(side), rounds) for side in sides},
        "overlapping": _compare(OVERLAPPING, rounds),
        "photograph": _time_file(draw_phone_photo, file_rounds),
        "scan": _time_file(draw_a4_scan, file_rounds),
    }
    print(write_result("page_speed", result))


def _compare(pages: str, rounds: int) -> dict[str, Any]:
    """Times all methods in turn on a page of separated digits, or on the overlapping scenes."""
    contenders: dict[str, Contender] = {
        method: partial(_contender, method, pages) for method in METHODS
    }
    rates = interleaved_rates(contenders, rounds, block_seconds=1.0, warm_up=1)
    return {
        "pages": len(_load_pages(pages)),
        "seconds_a_page": _seconds_a_page(rates, len(_load_pages(pages))),
        "times_faster_than": {
            method: rate_ratio(rates, "detect", method) for method in METHODS if method != "detect"
        },
    }


def _seconds_a_page(rates: Mapping[str, list[float]], pages: int) -> dict[str, float]:
    return {name: round(1 / statistics.median(each) / pages, 4) for name, each in rates.items()}


def _load_pages(pages: str) -> list[np.ndarray]:
    if pages == OVERLAPPING:
        return [scene.image for scene in compose(pages, SPLIT, OVERLAPPING_SCENES, SEED)]
    return [draw_separated_page(int(pages), SEED, SPLIT).image]


def _contender(method: str, pages: str) -> Call:
    images, find = _load_pages(pages), _load_method(method)
    return lambda: [find(image) for image in images]


def _load_method(method: str) -> Callable[[np.ndarray], object]:
    params = load_pretrained()
    if method == "opencv":
        return opencv_pipeline(params)
    if method == "rapidocr":
        return rapidocr_digits()
    config = DEFAULT_CONFIG
    if method == "windows":
        low, high = EXHAUSTIVE_SIZES
        config = dataclasses.replace(config, method="windows", min_size=low, max_size=high)
    detector = Detector(params, config)
    return lambda image: detector.detect(normalise(image))


def _time_file(draw: Callable[[int, str], tuple[Scene, bytes]], rounds: int) -> dict[str, Any]:
    """Times reading, normalising and searching a JPEG file, in a process of its own."""
    page, content = draw(SEED, SPLIT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.jpg"
        path.write_bytes(content)
        with ProcessPoolExecutor(1, mp.get_context("spawn")) as executor:
            measured = executor.submit(_search_file, path, rounds).result()
    return {
        "megapixels": round(page.image.shape[0] * page.image.shape[1] / 1e6, 2),
        "digits": len(page.labels),
        **measured,
    }


def _search_file(path: Path, rounds: int) -> dict[str, Any]:
    detector, seconds, detections = Detector(load_pretrained()), [], 0
    for round_ in range(rounds + 1):
        start = time.perf_counter()
        picture = read_image(path, colour=True)
        found = detector.detect(normalise(picture))
        if round_:  # the first one compiles
            seconds.append(time.perf_counter() - start)
        detections = len(found.from_score(default_min_score(picture, normalised=True)).labels)
    return {
        "detections": detections,
        "seconds_median": round(statistics.median(seconds), 3),
        "seconds": [round(each, 3) for each in seconds],
        "peak_resident_gib": round(_peak_resident_bytes() / 2**30, 3),
    }


def _peak_resident_bytes() -> int:
    """Returns this process's peak memory on Linux.

    `resource.getrusage` would count the parent's memory, which a new process shares at first.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    tyro.cli(main)
