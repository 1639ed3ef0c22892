"""Scenes and detections made by hand, for tests of detection metrics."""

from typing import NamedTuple

import numpy as np

from digits_jax.data.scenes import Scene

Box = tuple[float, float, float, float]  # x0, y0, x1, y1

A, B, C, D = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)
FAR = (80, 80, 90, 90)  # overlaps none of the others


class BoxDetections(NamedTuple):
    """The detections in one image."""

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def make_scene(*digits: tuple[Box, int]) -> Scene:
    """Makes a scene of black pixels from boxes and labels."""
    boxes = np.array([box for box, _ in digits], np.int64).reshape(-1, 4)
    labels = np.array([label for _, label in digits], np.int64)
    return Scene(np.zeros((100, 100), np.uint8), boxes, labels)


def make_detections(*detections: tuple[Box, int, float]) -> BoxDetections:
    """Makes the detections in one image from boxes, labels and scores."""
    boxes = np.array([box for box, _, _ in detections], np.float32).reshape(-1, 4)
    labels = np.array([label for _, label, _ in detections], np.int64)
    return BoxDetections(boxes, labels, np.array([s for *_, s in detections], np.float32))
