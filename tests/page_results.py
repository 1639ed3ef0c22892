"""Results of pages, for tests of output formats and files."""

from pathlib import Path
from typing import Any

import numpy as np

from digits_jax.detect.detections import Detections
from digits_jax.detect.output_formats import Result, page_error, page_result
from digits_jax.images.folders import Page
from digits_jax.images.read import ImageError

PIXELS = np.zeros((40, 50), np.uint8)


def digits(boxes: Any, labels: list[int], scores: list[float]) -> Detections:
    """Returns detections with these boxes."""
    boxes = np.asarray(boxes, np.int64)
    windows, scores_ = boxes.astype(np.float32), np.array(scores, np.float32)
    return Detections(boxes, windows, np.array(labels, np.int64), scores_, False)


def results() -> list[Result]:
    """Returns the results of four pages: one is unreadable, and one has no detections."""
    two = digits([[2, 4, 12, 24], [20, 5, 26, 25]], [7, 1], [0.9, 0.1])
    one = digits([[1, 2, 3, 4]], [0], [0.75])
    none = digits(np.zeros((0, 4)), [], [])
    return [
        page_result(Page(Path("a.png")), PIXELS.shape, two, read=False),
        page_error(Page(Path("b.png")), ImageError("b.png is empty")),
        page_result(Page(Path("c.tif"), 0), PIXELS.shape, none, read=False),
        page_result(Page(Path("c.tif"), 1), PIXELS.shape, one, read=False),
    ]
