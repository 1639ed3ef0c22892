"""The tight box of a digit's ink, from the window that found it."""

import numpy as np
from jaxtyping import Float, Int64
from scipy import ndimage

from digits_jax.network import SIDE

INK = 0.15  # of the window's brightest pixel: fainter pixels are paper
BODY = 3 / SIDE  # the window's rim, as a share of its side, that a digit's body leaves free
TOUCHING = np.ones((3, 3), dtype=int)  # pixels that share a corner are one stroke


def tight_box(
    image: Float[np.ndarray, "h w"], window_xyxy: Float[np.ndarray, "4"]
) -> Int64[np.ndarray, "4"]:
    """The box around the strokes that lie mostly in the window's middle.

    Strokes that only reach in from the rim are a neighbour's. Where the digit's own stroke runs on
    into the rim it touches a neighbour there, and the box ends with the body.

    Args:
      image: `[h, w]` in 0–1, ink bright.
      window_xyxy: in pixels of the image; it may reach beyond it.

    Returns:
      `[x0, y0, x1, y1]` in whole pixels, x1 and y1 exclusive, inside the image.
    """
    height, width = image.shape
    x0, y0, x1, y1 = window_xyxy
    side = x1 - x0
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    crop = image[top : max(int(np.ceil(y1)), 0), left : max(int(np.ceil(x1)), 0)]
    rim = BODY * side
    body = (x0 + rim - left, y0 + rim - top, x1 - rim - left, y1 - rim - top)
    rows = slice(max(round(body[1]), 0), max(round(body[3]), 1))
    columns = slice(max(round(body[0]), 0), max(round(body[2]), 1))
    ink = crop > INK * crop.max(initial=0.0)
    strokes, count = ndimage.label(ink, TOUCHING)
    whole = np.bincount(strokes.ravel(), minlength=count + 1)
    inside = np.bincount(strokes[rows, columns].ravel(), minlength=count + 1)
    own = (2 * inside >= whole) & (inside > 0)
    own[0] = False
    if not own.any() and count:
        own[1 + np.argmax(inside[1:])] = True
    mine = own[strokes]
    beyond = np.ones_like(mine)
    beyond[rows, columns] = False
    mine &= ~beyond
    if not mine.any():
        mine[rows, columns] = True
    y, x = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    if not (len(y) and len(x)):  # the window's body lies beyond the image
        y, x = np.array([0]), np.array([0])
    box = np.array([left + x[0], top + y[0], left + x[-1] + 1, top + y[-1] + 1])
    return np.clip(box, 0, (width, height, width, height)).astype(np.int64)
