"""How does detection compare with what a person would use instead, in F1 and in time?

Detects in the same scenes of test digits with `detect`, with an OpenCV pipeline around our own
classifier in ONNX Runtime, and with RapidOCR restricted to digits. All run in turn, image by image,
so that a slow moment of the machine meets all of them. Each method counts from one score up, for
all datasets: `detect` from the command's thresholds, the pipeline from a margin of 0.3, and
RapidOCR from the score in `THRESHOLDS`. Photographs and clothes are those of `studies.detection`,
UCI digits and handwriting fonts those of `studies.other_handwriting`.

Command:   python -m experiments.studies.detection_peers
Hardware:  2 CPU cores, otherwise idle; needs the extra [bench], Debian's dataset-fashion-mnist for
           the clothes, and what `studies.other_handwriting` needs to fetch fonts.
Time:      5 minutes on 2 cores.
Result:    experiments/results/detection_peers.json, from which `experiments.figures.tables`
           writes tables of README.md and docs/results.md.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tyro

from digits_jax import load_pretrained
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import SCENE_DATASETS, Scene, compose
from digits_jax.detect import Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import (
    DetectionsLike,
    check_pycocotools,
    false_per_megapixel,
    score_detections,
)
from digits_jax.images.normalise import normalise
from digits_jax.runtime.progress import log, progress
from experiments.common.detection_peers import PeerDetections, opencv_pipeline, rapidocr_digits
from experiments.common.fonts import fonts_folder
from experiments.common.images_without_digits import (
    CLOTHES,
    IMAGE_SETS,
    NORMALISED,
    fashion_mnist_folder,
)
from experiments.common.provenance import provenance, write_result
from experiments.studies.other_handwriting import load_digits

THRESHOLDS = {"opencv": 0.3, "rapidocr": 0.5}  # the pipeline's usual margin; RapidOCR's own default
OTHER_DIGITS = ("UCI digits", "handwriting fonts")  # kinds of `load_digits`
Method = Callable[[np.ndarray], DetectionsLike]


def main(
    datasets: Sequence[str] = (*SCENE_DATASETS, *OTHER_DIGITS),
    count: int = 60,
    split: str = "test",
    image_sets: Sequence[str] = (NORMALISED, CLOTHES),
) -> None:
    """Measures all methods and writes the result.

    Args:
        datasets: Datasets of scenes to detect in, or kinds of other digits.
        count: Number of scenes of each dataset; their seed is 0.
        split: Split of MNIST whose digits the scenes show.
        image_sets: Sets of images without digits to detect in.
    """
    check_pycocotools()
    if CLOTHES in image_sets:
        fashion_mnist_folder()  # is there
    params = load_pretrained()
    methods: dict[str, Method] = {
        "detect": partial(_detect, Detector(params)),
        "opencv": opencv_pipeline(params),
        "rapidocr": rapidocr_digits(),
    }
    rows = []
    for dataset in datasets:
        log(dataset)
        scenes = _compose(dataset, split, count)
        found, seconds = _run_in_turn(methods, [scene.image for scene in scenes])
        for name, detections in found.items():
            scores = score_detections(scenes, detections, min_score=THRESHOLDS.get(name, 0.0))
            metrics = {key: round(value, 4) for key, value in scores._asdict().items()}
            timing = {"seconds_median": round(statistics.median(seconds[name]), 4)}
            rows.append({"method": name, "images": dataset, **metrics, **timing})
    for image_set in image_sets:
        log(image_set)
        pictures = IMAGE_SETS[image_set]()
        found, seconds = _run_in_turn(methods, pictures)
        pixels = [picture.shape[0] * picture.shape[1] for picture in pictures]
        for name, detections in found.items():
            limit = THRESHOLDS.get(name, 0.0)
            counts = [int((each.scores >= limit).sum()) for each in detections]
            false = round(false_per_megapixel(pixels, counts), 2)
            timing = {"seconds_median": round(statistics.median(seconds[name]), 4)}
            rows.append(
                {"method": name, "images": image_set, "false_per_megapixel": false, **timing}
            )
    header = provenance(["opencv-python-headless", "onnxruntime", "rapidocr", "pycocotools"])
    question = "How does detection compare with what a person would use instead?"
    result = {"question": question, **header, "thresholds": THRESHOLDS, "rows": rows}
    log(f"Wrote {write_result('detection_peers', result)}")


def _compose(dataset: str, split: str, count: int) -> list[Scene]:
    if dataset not in OTHER_DIGITS:
        return compose(dataset, split, count, seed=0)
    digits = load_digits(fonts_folder())[dataset]
    return compose("page", "test", count, seed=0, mnist=Mnist(digits, digits, digits))


def _detect(detector: Detector, image: np.ndarray) -> DetectionsLike:
    """Detects as the command does, normalisation and default threshold included."""
    detections = detector.detect(normalise(image))
    kept = detections.from_score(default_min_score(image, normalised=True))
    return PeerDetections(kept.boxes_xyxy, kept.labels, kept.scores)


def _run_in_turn(
    methods: dict[str, Method], images: Sequence[np.ndarray]
) -> tuple[dict[str, list[DetectionsLike]], dict[str, list[float]]]:
    """Runs every method on every image; the first image once more, to warm up."""
    found: dict[str, list[Any]] = {name: [] for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for method in methods.values():
        method(images[0])
    for _, image in progress(list(enumerate(images)), "image", len(images)):
        for name, method in methods.items():
            start = time.perf_counter()
            found[name].append(method(image))
            seconds[name].append(time.perf_counter() - start)
    return found, seconds


if __name__ == "__main__":
    tyro.cli(main)
