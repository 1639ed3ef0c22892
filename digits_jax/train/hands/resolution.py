"""Digits of few pixels, as small print, distant cameras and coarse scanners show them."""

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.images.mask_box import INK_THRESHOLD, mask_to_box
from digits_jax.images.mnist_format import frame_digit

SIDES = (6.0, 13.0)  # px of the longer side at low resolution
ENLARGED_SIDE = 64  # px of the longer side to which it is enlarged before it is framed
METHODS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def lower_resolution(
    digit: UInt8[np.ndarray, "28 28"], rng: np.random.Generator
) -> UInt8[np.ndarray, "28 28"]:
    """Reduces a digit to 6 to 13 px on its longer side, and frames what enlarging makes of that.

    Args:
      digit: one digit as in MNIST.
      rng: the source of all randomness.
    """
    x0, y0, x1, y1 = mask_to_box(digit > INK_THRESHOLD * digit.max())
    crop = Image.fromarray(digit[y0:y1, x0:x1])
    longer = max(crop.size)
    share = np.exp(rng.uniform(*np.log(SIDES))) / longer
    small = crop.resize(
        (max(1, round(crop.width * share)), max(1, round(crop.height * share))),
        Image.Resampling.BOX,
    )
    # A border of one pixel lets the edges blur outwards.
    padded = Image.fromarray(cv2.copyMakeBorder(np.asarray(small), 1, 1, 1, 1, cv2.BORDER_CONSTANT))
    scale = ENLARGED_SIDE / max(small.size)
    size = (round(padded.width * scale), round(padded.height * scale))
    return frame_digit(np.asarray(padded.resize(size, METHODS[rng.integers(len(METHODS))])))
