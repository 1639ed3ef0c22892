"""The tight box around a digit's ink, from the window that detected it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, Num
from scipy import ndimage

from digits_jax.detect.steps import BoxConfig
from digits_jax.images.mask_box import INK_THRESHOLD, mask_to_box
from digits_jax.models.cnn import INPUT_SIDE

EIGHT_CONNECTED = np.ones((3, 3), dtype=int)  # pixels that share a corner are one stroke


def tight_box(
    image: Num[np.ndarray, "h w"],
    window_xyxy: Float[np.ndarray, "4"],
    label: int,
    config: BoxConfig,
) -> Int64[np.ndarray, "4"]:
    """Returns the box around the strokes that lie mostly in the window's body.

    A stroke that only reaches in from the window's edge belongs to a neighbour. A stroke of the
    digit that runs on beyond the body touches a neighbour, and the box ends at the class's margin.

    Args:
      image: `[h, w]` grey values of any range, ink bright.
      window_xyxy: `[4]` px of the image; it may extend beyond the image.
      label: the digit's class, 0–9.
      config: the window's body and the margins of each class.

    Returns:
      `[x0, y0, x1, y1]` in whole pixels, x1 and y1 exclusive, inside the image.
    """
    height, width = image.shape
    x0, y0, x1, y1 = window_xyxy.tolist()
    side = x1 - x0
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    crop = image[top : max(int(np.ceil(y1)), 0), left : max(int(np.ceil(x1)), 0)]
    centre = (x0 + x1) / 2 - left, (y0 + y1) / 2 - top
    rows, columns = _slices_around(centre, [(0.5 - config.body_inset) * side] * 4)
    ink = crop > INK_THRESHOLD * crop.max(initial=0.0)
    strokes, count = ndimage.label(ink, EIGHT_CONNECTED)
    total = np.bincount(strokes.ravel(), minlength=count + 1)
    inside = np.bincount(strokes[rows, columns].ravel(), minlength=count + 1)
    own = (2 * inside >= total) & (inside > 0)
    own[0] = False
    if not own.any() and count:
        own[1 + np.argmax(inside[1:])] = True
    mask = own[strokes]
    if mask.sum() > mask[rows, columns].sum():
        margins = config.class_margins_px[label]
        rows, columns = _slices_around(centre, [margin * side / INPUT_SIDE for margin in margins])
    outside = np.ones_like(mask)
    outside[rows, columns] = False
    mask &= ~outside
    if not mask.any():
        mask[rows, columns] = True
    # Where the body lies beyond the image, the box is the pixel at the crop's corner.
    box = mask_to_box(mask) if mask.any() else np.array([0, 0, 1, 1])
    box += (left, top, left, top)
    return np.clip(box, 0, (width, height, width, height)).astype(np.int64)


def _slices_around(centre: tuple[float, float], margins: Sequence[float]) -> tuple[slice, slice]:
    """Returns the rows and columns within the left, upper, right and lower margin of a point."""
    x, y = centre
    left, up, right, down = margins
    return (
        slice(max(round(y - up), 0), max(round(y + down), 1)),
        slice(max(round(x - left), 0), max(round(x + right), 1)),
    )
