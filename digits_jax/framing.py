"""One digit's image, framed as MNIST's makers framed theirs."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.ink import INK
from digits_jax.network import SIDE

INNER = 20  # px of the longer side of MNIST's digits


def frame_digit(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """Scales a digit to fit 20×20 px, its aspect kept, and centres its mass in 28×28.

    The brightest pixel becomes 255; what is fainter than a seventh of it counts as paper when the
    digit's box is cut out.

    Args:
      image: `[h, w]` uint8, one digit, ink bright; what has 28×28 px already stays as it is.

    Raises:
      ValueError: all pixels are the same.
    """
    if image.min() == image.max():
        raise ValueError(f"expected a bright digit on black, got pixels of {image.max()} alone")
    if image.shape == (SIDE, SIDE):
        return image
    ink = image > INK * image.max()
    y, x = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = image[y[0] : y[-1] + 1, x[0] : x[-1] + 1].astype(np.float32)
    height, width = (max(1, round(side * INNER / max(digit.shape))) for side in digit.shape)
    picture = Image.fromarray(digit).resize((width, height), Image.Resampling.BILINEAR)
    scaled = np.asarray(picture)
    digit = scaled / scaled.max()
    top, left = _start(digit.sum(axis=1)), _start(digit.sum(axis=0))
    framed = np.zeros((SIDE, SIDE), np.uint8)
    framed[top : top + height, left : left + width] = np.rint(255 * digit)
    return framed


def _start(mass: np.ndarray) -> int:
    """Where along an axis a digit begins, so that its centre of mass is nearest to pixel 14."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(round(SIDE / 2 - centre), 0), SIDE - len(mass))
