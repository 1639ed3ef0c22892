"""Digits with thinner or thicker strokes, by grey morphology."""

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.images.mask_box import count_parts, mask_to_box
from digits_jax.images.mnist_format import MNIST_SIDE, frame_digit

ZOOM = 3  # strokes are changed in digits of three times the size
MAX_REACH = 4  # px of the enlarged digit by which an edge is moved at most
TINY = 14  # px of the enlarged digit: smaller parts and holes do not count
INK = 100  # grey value of the ink that is compared
MIN_SIDE = 0.85  # of the digit's height and width, which thinner strokes must keep


def change_stroke_width(
    digit: UInt8[np.ndarray, "28 28"], rng: np.random.Generator
) -> UInt8[np.ndarray, "28 28"]:
    """Makes a digit's strokes thinner or thicker, each with probability one half, and frames it.

    The reach is made smaller until the digit keeps its parts, its holes and its size, so that it
    stays legible. Grey erosion thins the strokes, and grey dilation thickens them.

    Args:
      digit: one digit as in MNIST.
      rng: the source of all randomness.
    """
    side = ZOOM * (MNIST_SIDE + 4)
    padded = Image.fromarray(cv2.copyMakeBorder(digit, 2, 2, 2, 2, cv2.BORDER_CONSTANT))
    large = np.asarray(padded.resize((side, side), Image.Resampling.BICUBIC))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    topology, sides = _count_parts_and_holes(large), _sides(large)
    for reach in range(int(rng.integers(1, MAX_REACH + 1)), 0, -1):
        changed = change(large, np.ones((2 * reach + 1,) * 2, np.uint8))
        keeps_size = (_sides(changed) + 2 * reach >= MIN_SIDE * sides).all()
        if keeps_size and _count_parts_and_holes(changed) == topology:
            return frame_digit(changed)
    return digit


def _sides(image: UInt8[np.ndarray, "_ _"]) -> np.ndarray:
    box = mask_to_box(image > INK)
    return box[2:] - box[:2]


def _count_parts_and_holes(image: UInt8[np.ndarray, "_ _"]) -> tuple[int, int]:
    ink = image > INK
    return count_parts(ink, TINY), count_parts(~ink, TINY)
