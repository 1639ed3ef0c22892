"""The command line as a person types it, and a fake detector with one result for any image."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits_jax.cli.main import main
from digits_jax.detect.detections import Detections


def exit_status(*arguments: object) -> object:
    """Runs `digits-jax` in this process and returns its exit status."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return exit_.code
    return 0


def save_image(path: Path, image: np.ndarray) -> Path:
    """Writes an image file, and the folders above it; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the JSON objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def one_digit(*, truncated: bool = False) -> Detections:
    """Returns the detections of a fake detector: a 5 whose probability is 0.91."""
    box, scores = np.array([[1, 2, 3, 4]]), np.array([0.99], np.float32)
    probabilities = np.full((1, 10), 0.01, np.float32)
    probabilities[0, 5] = 0.91
    crops = np.zeros((1, 28, 28), np.uint8)
    crops[0, 4:24, 14] = 255
    labels, windows = np.array([5]), box.astype(np.float32)
    return Detections(box, windows, labels, scores, truncated, probabilities, crops)


def fake_detect_each(
    detections: Detections,
) -> Callable[..., Iterator[tuple[Any, Any, Detections]]]:
    """Returns a method in place of `Detector.detect_each`, with the same result for any image."""

    def detect_each(
        _: object, images: Iterable[tuple[Any, Any]], *, batch_size: object = None
    ) -> Iterator[tuple[Any, Any, Detections]]:
        return ((name, image, detections) for name, image in images)

    return detect_each
