"""The mask of ink: its threshold, its tight box and its parts."""

import cv2
import numpy as np
from jaxtyping import Bool, Int64

INK_THRESHOLD = 0.15  # share of the brightest pixel: fainter pixels are paper


def mask_to_box(mask: Bool[np.ndarray, "h w"]) -> Int64[np.ndarray, "4"]:
    """Returns the tight box around the true pixels of a mask.

    Args:
      mask: `[h, w]` bool.

    Returns:
      `[x0, y0, x1, y1]` in pixels, x1 and y1 exclusive; four zeros if no pixel is true.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return np.array([x, y, x + width, y + height])


def count_parts(mask: Bool[np.ndarray, "h w"], min_area: int = 1) -> int:
    """Counts the parts of a mask, in which pixels are connected by their four sides.

    Args:
      mask: `[h, w]` bool.
      min_area: the least number of pixels of a part that counts.
    """
    # Counting the labels is quicker than the statistics that OpenCV offers.
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    return int((np.bincount(labels.ravel())[1:] >= min_area).sum())
