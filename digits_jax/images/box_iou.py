"""Intersection over union of boxes."""

import numpy as np
from jaxtyping import Float64, Num


def box_iou(
    boxes: Num[np.ndarray, "a 4"], others: Num[np.ndarray, "b 4"]
) -> Float64[np.ndarray, "a b"]:
    """Returns the intersection over union of each of `boxes` with each of `others`.

    IoU(A, B) = |A ∩ B| / |A ∪ B|; 0 where both boxes are empty.

    Args:
      boxes: `[a, 4]`, x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
      others: `[b, 4]`, the same.

    Returns:
      `[a, b]` float64, 0–1.
    """
    a = boxes.astype(np.float64)[:, None]
    b = others.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = sides.clip(min=0).prod(axis=-1)
    union = _area(a) + _area(b) - intersection
    return intersection / np.where(union > 0, union, 1)


def _area(boxes: Float64[np.ndarray, "*n 4"]) -> Float64[np.ndarray, "*n"]:
    return (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
