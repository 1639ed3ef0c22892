r"""How well are digits detected, and how many false detections are there, with which weights?

Detects in scenes of test digits, and in images without digits: photographs, textures and figures
of scikit-image, which training never saw, blank images of several greys, letters, and clothes. Each
kind is reported by itself. Scenes are normalised, as `digits-jax detect` does. The other images are
searched as they are, and photographs a second time after normalising. For each of the weights, the
errors on single digits of the same split are counted, too. The second command below measures the
pretrained weights and `paper` at one scale in all windows, as the paper detects.

Command:   python -m experiments.studies.detection
           python -m experiments.studies.detection --method windows --sizes 28 28 \
               --weights pretrained runs/paper-0
Hardware:  any; needs the extra [bench], and Debian's dataset-fashion-mnist for the clothes.
Time:      on 2 cores ten minutes; as much for each of the weights at one scale in all windows.
Result:    experiments/results/detection.json, from which `experiments.figures.tables` writes the
           tables of docs/results.md.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from digits_jax.cli.arguments import LoadedModel, load_model
from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import SCENE_DATASETS, compose
from digits_jax.detect import Detections, Detector, DetectorConfig
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import (
    AP_MIN_SCORE,
    check_pycocotools,
    false_per_megapixel,
    score_detections,
)
from digits_jax.images.normalise import normalise
from digits_jax.runtime.progress import log, progress
from digits_jax.train.evaluate import count_errors
from experiments.common.detection_results import read_detection_rows
from experiments.common.images_without_digits import (
    CLOTHES,
    IMAGE_SETS,
    NORMALISED,
    fashion_mnist_folder,
)
from experiments.common.provenance import provenance, write_result

DEFAULTS = DetectorConfig()
FORMER_SUBJECT = ([15.0, 100.0], "windows")  # the default until 2026-11-28: sizes and method


def main(
    weights: Annotated[list[str], tyro.conf.arg(metavar="WEIGHTS…")] = ["pretrained"],  # noqa: B006
    datasets: Annotated[list[str], tyro.conf.arg(metavar="DATASET…")] = [*SCENE_DATASETS],  # noqa: B006
    sizes: tuple[float, float | None] = (DEFAULTS.min_size, DEFAULTS.max_size),
    method: Literal["components", "windows"] = "components",
    count: int = 200,
    split: str = "test",
    image_sets: Annotated[list[str], tyro.conf.arg(metavar="SET…")] = [*IMAGE_SETS],  # noqa: B006
) -> None:
    """Scores each of the weights and adds the rows to the result, replacing older ones.

    Args:
        weights: `pretrained`, folders of training runs, or .safetensors files.
        datasets: Datasets of scenes to detect in.
        sizes: The smallest and the largest digits to search for, in px; None for no limit.
        method: How to search: in the components of ink, or in all windows.
        count: Number of scenes of each dataset.
        split: Split of MNIST whose digits the scenes show.
        image_sets: Sets of images without digits to detect in.
    """
    check_pycocotools()
    if CLOTHES in image_sets:
        fashion_mnist_folder()  # is there
    name = "detection" if split == "test" else f"detection_{split}"
    rows = read_detection_rows(name)
    header = provenance(["scikit-image", "pycocotools"])
    for source in weights:
        model = load_model(source)
        min_size, max_size = sizes
        config = dataclasses.replace(
            model.config,
            min_size=min_size,
            max_size=max_size,
            method=method,
            min_score=AP_MIN_SCORE,
        )
        detector = Detector(model.params, config, log=log)
        search = {"weights": Path(source).stem, "sizes": list(sizes), "method": method}
        for result in _measure(model, detector, datasets, split, count, image_sets):
            row = {**search, **result, **header}
            rows = [other for other in rows if _subject(other) != _subject(row)] + [row]
            write_result(name, {"question": "How well are digits found?", "rows": rows})


def detect_all(detector: Detector, images: list[np.ndarray]) -> list[Detections]:
    """Returns the detections in each image and shows the progress."""
    results = progress(detector.detect_each(enumerate(images)), "image", len(images))
    return [detections for _, _, detections in results]


def _subject(row: dict[str, Any]) -> tuple[object, ...]:
    """Returns what a row is about; a newer row replaces that of the former default."""
    search = (row["sizes"], row.get("method", "windows"))
    if search == FORMER_SUBJECT:
        search = ([DEFAULTS.min_size, DEFAULTS.max_size], DEFAULTS.method)
    return row["weights"], row["images"], *search


def _measure(
    model: LoadedModel,
    detector: Detector,
    datasets: list[str],
    split: str,
    count: int,
    image_sets: list[str],
) -> Iterator[dict[str, Any]]:
    yield _count_errors(model, split)
    for dataset in datasets:
        yield _score_scenes(detector, model.config, dataset, split, count)
    for image_set in image_sets:
        yield _count_false_detections(detector, model.config, image_set)


def _count_errors(model: LoadedModel, split: str) -> dict[str, Any]:
    digits = getattr(load_mnist(), split)
    errors, examples = count_errors(model.params, digits), len(digits.labels)
    accuracy = (examples - errors) / examples
    return {"images": "mnist", "examples": examples, "errors": errors, "accuracy": accuracy}


def _score_scenes(
    detector: Detector, thresholds: DetectorConfig, dataset: str, split: str, count: int
) -> dict[str, Any]:
    log(dataset)
    scenes = compose(dataset, split, count, seed=0)
    start = time.monotonic()
    detections = detect_all(detector, [normalise(scene.image) for scene in scenes])
    seconds = (time.monotonic() - start) / count
    # All scenes of a dataset have the same threshold.
    min_score = default_min_score(scenes[0].image, normalised=True, config=thresholds)
    scores = score_detections(scenes, detections, min_score=min_score)
    metrics = {key: round(value, 4) for key, value in scores._asdict().items()}
    timing = {"seconds_per_image": round(seconds, 4)}
    return {"images": dataset, "min_score": min_score, **metrics, **timing}


def _count_false_detections(
    detector: Detector, thresholds: DetectorConfig, image_set: str
) -> dict[str, Any]:
    log(image_set)
    normalised = image_set == NORMALISED
    pictures = IMAGE_SETS[image_set]()
    counts = count_false_detections(detector, thresholds, pictures, normalised=normalised)
    return {"images": image_set, **counts}


def count_false_detections(
    detector: Detector,
    thresholds: DetectorConfig,
    pictures: Sequence[np.ndarray],
    *,
    normalised: bool,
) -> dict[str, float]:
    """Counts the detections in pictures without digits.

    Args:
      detector: it returns at least what the thresholds let pass.
      thresholds: those of ink on black, and of other pictures.
      pictures: of any size, grey or RGB.
      normalised: whether they are normalised first.

    Returns:
      The megapixels, and the detections a megapixel.
    """
    images = [normalise(picture) if normalised else picture for picture in pictures]
    counts = []
    for picture, detections in zip(pictures, detect_all(detector, images), strict=True):
        min_score = default_min_score(picture, normalised=normalised, config=thresholds)
        counts.append(len(detections.from_score(min_score).labels))
    pixels = [image.shape[0] * image.shape[1] for image in images]
    return {
        "megapixels": round(sum(pixels) / 1e6, 2),
        "false_per_megapixel": round(false_per_megapixel(pixels, counts), 2),
    }


if __name__ == "__main__":
    tyro.cli(main)
