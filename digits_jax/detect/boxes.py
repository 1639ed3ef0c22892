"""The tight box of a digit's ink, from the window that found it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64
from scipy import ndimage

from digits_jax.images.ink import INK_THRESHOLD, mask_to_box
from digits_jax.models.cnn import INPUT_SIDE

BODY = 3 / INPUT_SIDE  # the window's rim, as a share of its side, that a digit's body leaves free
# How far digits of each class reach from the centre of their picture to the left, up, to the right
# and down, px: 98 % of MNIST's training digits, their ink as above, reach no farther.
REACH = (
    (10, 11, 11, 11), (9, 11, 10, 11), (11, 12, 13, 11), (12, 11, 10, 12), (11, 11, 12, 12),
    (10, 11, 13, 12), (9, 13, 12, 10), (12, 9, 11, 14), (10, 10, 13, 12), (10, 9, 10, 13),
)  # fmt: skip
TOUCHING = np.ones((3, 3), dtype=int)  # pixels that share a corner are one stroke


def tight_box(
    image: Float[np.ndarray, "h w"], window_xyxy: Float[np.ndarray, "4"], label: int
) -> Int64[np.ndarray, "4"]:
    """The box around the strokes that lie mostly in the window's middle.

    Strokes that only reach in from the rim are a neighbour's. Where the digit's own stroke runs on
    into the rim it touches a neighbour there, and the box ends where digits of its class do.

    Args:
      image: `[h, w]` in 0–1, ink bright.
      window_xyxy: in pixels of the image; it may reach beyond it.
      label: the digit's class.

    Returns:
      `[x0, y0, x1, y1]` in whole pixels, x1 and y1 exclusive, inside the image.
    """
    height, width = image.shape
    x0, y0, x1, y1 = window_xyxy.tolist()
    side = x1 - x0
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    crop = image[top : max(int(np.ceil(y1)), 0), left : max(int(np.ceil(x1)), 0)]
    centre = (x0 + x1) / 2 - left, (y0 + y1) / 2 - top
    rows, columns = _within(centre, [(0.5 - BODY) * side] * 4)
    ink = crop > INK_THRESHOLD * crop.max(initial=0.0)
    strokes, count = ndimage.label(ink, TOUCHING)
    whole = np.bincount(strokes.ravel(), minlength=count + 1)
    inside = np.bincount(strokes[rows, columns].ravel(), minlength=count + 1)
    own = (2 * inside >= whole) & (inside > 0)
    own[0] = False
    if not own.any() and count:
        own[1 + np.argmax(inside[1:])] = True
    mine = own[strokes]
    if mine.sum() > mine[rows, columns].sum():
        rows, columns = _within(centre, [reach * side / INPUT_SIDE for reach in REACH[label]])
    beyond = np.ones_like(mine)
    beyond[rows, columns] = False
    mine &= ~beyond
    if not mine.any():
        mine[rows, columns] = True
    # The window's body may lie beyond the image: then the box is the pixel at the crop's corner.
    box = mask_to_box(mine) if mine.any() else np.array([0, 0, 1, 1])
    box += (left, top, left, top)
    return np.clip(box, 0, (width, height, width, height)).astype(np.int64)


def _within(centre: tuple[float, float], reach: Sequence[float]) -> tuple[slice, slice]:
    """The rows and columns of a crop that are so near to a point: left, up, right, down of it."""
    x, y = centre
    left, up, right, down = reach
    return (
        slice(max(round(y - up), 0), max(round(y + down), 1)),
        slice(max(round(x - left), 0), max(round(x + right), 1)),
    )
