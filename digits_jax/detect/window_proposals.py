"""Windows that may show a digit, for ink that is not one digit by itself.

A window is worth classifying if its ink fills it as a digit does: ink in its middle, near its upper
and its lower edge, and neither too little nor too much of it.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from digits_jax.detect.components import Component
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Crops
from digits_jax.detect.steps import WindowConfig
from digits_jax.images.mask_box import INK_THRESHOLD
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE

# Rows and columns of a window's 28 px in which a whole digit has ink. A digit of 20 px in the
# middle begins at pixel 4; half of the distance between windows, 2 px, is added.
MIDDLE = (6, 22)
TOP, BOTTOM = (1, 9), (19, 27)
SIDES = (4, 24)
WHOLE = (0, MNIST_SIDE)
MIN_MIDDLE_INK_PX = 12


class Windows(NamedTuple):
    """Square windows of one component."""

    part: int  # the index of the component
    centres_xy: Float[np.ndarray, "n 2"]  # px of the component's box
    sides: Float[np.ndarray, " n"]  # px
    crops: Crops  # what they show; the brightest pixel of each is 1


def window_sizes(part: Component, config: DetectorConfig) -> list[float]:
    """Returns the sides in px of a component's windows, descending.

    Args:
      part: the component.
      config: the limits and the ratio of the sizes.
    """
    size = min(config.max_size or np.inf, part.side * MNIST_SIDE / MNIST_DIGIT_SIDE)
    sizes = []
    while size >= config.min_size:
        sizes.append(size)
        size /= config.windows.scale_ratio
    return sizes


def propose_windows(number: int, part: Component, size: float, config: WindowConfig) -> Windows:
    """Returns the windows of one size that are worth classifying.

    Args:
      number: the index of the component.
      part: the component; other ink is not in the windows.
      size: the windows' side, px.
      config: the distance of neighbouring windows, and how much ink a window has.
    """
    scale = MNIST_SIDE / size
    height, width = (max(1, round(side * scale)) for side in part.mask.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(part.ink, (width, height), interpolation=method)
    padded = np.pad(scaled, MNIST_SIDE)
    stride = config.stride
    rows, columns = (
        grid.ravel()
        for grid in np.meshgrid(_grid(height, stride), _grid(width, stride), indexing="ij")
    )
    likely = _fills_window(padded > INK_THRESHOLD * scaled.max(), rows, columns, config)
    rows, columns = rows[likely], columns[likely]
    views = np.lib.stride_tricks.sliding_window_view(padded, (MNIST_SIDE, MNIST_SIDE))
    crops = views[rows, columns].astype(np.float32)
    crops /= np.maximum(crops.max(axis=(1, 2), keepdims=True), 1)
    centres = np.stack([columns, rows], axis=-1) - MNIST_SIDE / 2  # in scaled px
    return Windows(number, centres / scale, np.full(len(rows), size), crops)


def crop_window(
    ink: UInt8[np.ndarray, "h w"], centre_xy: Float[np.ndarray, "2"], side: float
) -> Float32[np.ndarray, "28 28"]:
    """Returns what a square window shows, 28×28 px; its brightest pixel is 1.

    Args:
      ink: grey values of a component.
      centre_xy: the window's middle, px of the component's box.
      side: the window's side, px.
    """
    length = max(round(side), 1)
    x0, y0 = (round(float(c) - length / 2) for c in centre_xy)
    window = np.zeros((length, length), np.uint8)
    left, top = max(x0, 0), max(y0, 0)
    inside = ink[top : max(y0 + length, 0), left : max(x0 + length, 0)]
    window[top - y0 : top - y0 + inside.shape[0], left - x0 : left - x0 + inside.shape[1]] = inside
    method = cv2.INTER_AREA if length > MNIST_SIDE else cv2.INTER_LINEAR
    crop = cv2.resize(window, (MNIST_SIDE, MNIST_SIDE), interpolation=method).astype(np.float32)
    return crop / max(float(crop.max()), 1.0)


def _grid(side: int, stride: int) -> Int[np.ndarray, " n"]:
    """Returns where windows begin that are centred every `stride` px of an axis, in padded px."""
    centres = np.arange(side / 2 % stride, side + 0.1, stride)
    return np.rint(centres).astype(int) + MNIST_SIDE // 2


def _fills_window(
    ink: Bool[np.ndarray, "H W"],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    config: WindowConfig,
) -> Bool[np.ndarray, " n"]:
    """Returns which windows their ink fills as a digit does."""
    area = _ink_in(ink, rows, columns, WHOLE, WHOLE) / MNIST_SIDE**2
    return (
        (_ink_in(ink, rows, columns, MIDDLE, MIDDLE) >= MIN_MIDDLE_INK_PX)
        & (_ink_in(ink, rows, columns, TOP, SIDES) > 0)
        & (_ink_in(ink, rows, columns, BOTTOM, SIDES) > 0)
        & (area >= config.min_ink)
        & (area <= config.max_ink)
    )


def _ink_in(
    ink: Bool[np.ndarray, "H W"],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    span_y: tuple[int, int],
    span_x: tuple[int, int],
) -> Int[np.ndarray, " n"]:
    """Returns how many pixels of ink windows have in a rectangle of theirs."""
    total = cv2.integral(ink.astype(np.uint8))
    y0, y1 = (rows + edge for edge in span_y)
    x0, x1 = (columns + edge for edge in span_x)
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
