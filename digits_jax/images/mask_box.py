"""The mask of ink: its threshold and its tight box."""

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
    y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(y):
        return np.zeros(4, np.int64)
    return np.array([x[0], y[0], x[-1] + 1, y[-1] + 1])
