"""Pictures and fake results for tests of the demo page."""

import numpy as np

from digits_jax.demo.session import InputPicture, SearchResult
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detections import Detections


def detections_of(scores: list[float], *, truncated: bool = False) -> Detections:
    """Returns a detection of each score, with the labels 0, 1, …, all in one place."""
    count = len(scores)
    boxes = np.tile([[1, 2, 13, 24]], (count, 1))
    windows = np.tile(np.array([[0, 0, 31, 31]], np.float32), (count, 1))
    return Detections(boxes, windows, np.arange(count), np.array(scores, np.float32), truncated)


def result_of(scores: list[float], *, truncated: bool = False) -> SearchResult:
    """Returns the result of a search that found `detections_of` these scores."""
    image = np.zeros((40, 50), np.uint8)
    return SearchResult(
        source=InputPicture("some.png", b""),
        picture=image,
        ink=image,
        detections=detections_of(scores, truncated=truncated),
        default_min_score=DEFAULT_CONFIG.min_score,
        summary="",
        max_detections=DEFAULT_CONFIG.max_detections,
    )


def blue_on_yellow(digit: np.ndarray) -> np.ndarray:
    """Returns a picture of blue ink on yellow paper, twice the digit's size."""
    ink = np.pad(digit.repeat(2, 0).repeat(2, 1) / 255, 32)[..., None]
    paper, blue = np.array([250, 240, 200]), np.array([20, 40, 120])
    return np.rint(paper + ink * (blue - paper)).astype(np.uint8)
