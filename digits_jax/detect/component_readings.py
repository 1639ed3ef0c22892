"""Readings of components: each framed by itself, and what its window shows with all ink around."""

from collections.abc import Generator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from digits_jax.detect.calibration import score_candidates
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.components import Box, Component, at_edge, ink_strength
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Crops, Readings
from digits_jax.detect.window_proposals import crop_window
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE, frame_ink
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import NUM_CLASSES
from digits_jax.models.fcn.features import STRIDE

Ink = UInt8[np.ndarray, "H W"]
Crop = Float32[np.ndarray, "28 28"]
CENTRED = ((0, 0),)
# x and y, px of the 28 px window: a doubtful component is read again at all of these places.
SHIFTED = ((0, 0), (-STRIDE, 0), (STRIDE, 0), (0, -STRIDE), (0, STRIDE))
MIN_OTHER_INK = 0.005  # share of a window's area: less is dirt
SIZE_PER_SIDE = MNIST_SIDE / MNIST_DIGIT_SIDE  # a digit's size ÷ the longer side of its box


class Page:
    """An image, and where it has ink."""

    def __init__(self, image: Ink, threshold: float):
        """Counts the ink of all rectangles that begin at the image's corner."""
        self.image = image
        self.counts = cv2.integral((image > threshold * 255).astype(np.uint8))

    def has_other_ink(self, part: Component) -> bool:
        """Returns whether the window of a component shows ink that is not its own."""
        half = SIZE_PER_SIDE * part.side / 2
        x, y = _middle(part.box)
        height, width = self.image.shape
        top, bottom = max(round(y - half), 0), min(round(y + half), height)
        left, right = max(round(x - half), 0), min(round(x + half), width)
        total = self.counts
        ink = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        return bool(ink - np.count_nonzero(part.mask) >= MIN_OTHER_INK * (2 * half) ** 2)


def read_components(
    parts: Sequence[Component],
    page: Page,
    config: DetectorConfig,
    *,
    kind: str = "component",
    shifts: Sequence[tuple[int, int]] = CENTRED,
) -> Generator[Crops, Readings, list[Candidate | None]]:
    """Classifies components, each framed by itself.

    Args:
      parts: the components.
      page: the image that they are from.
      config: the constants of detection.
      kind: that of the candidates, one of `KINDS`.
      shifts: how far each component is moved from where MNIST's makers put their digits, x and y in
        px of the 28 px window; the probabilities of all places are averaged.

    Returns:
      A candidate for each component, or None if no digit has its shape or its size.
    """
    usable = [k for k, part in enumerate(parts) if _may_be_digit(part, config)]
    crops = np.zeros((len(usable), len(shifts), MNIST_SIDE, MNIST_SIDE), np.float32)
    for row, k in enumerate(usable):
        frame = uint8_to_float(frame_ink(parts[k].ink))
        for place, shift in enumerate(shifts):
            crops[row, place] = _shift(frame, *shift) if any(shift) else frame
    # Only where there is other ink around, its window shows anything else.
    crowded = [row for row, k in enumerate(usable) if page.has_other_ink(parts[k])]
    windows = np.zeros((len(crowded), MNIST_SIDE, MNIST_SIDE), np.float32)
    for i, row in enumerate(crowded):
        part = parts[usable[row]]
        centre = np.array(_middle(part.box))
        windows[i] = crop_window(page.image, centre, SIZE_PER_SIDE * part.side)
    framed = crops.reshape(-1, MNIST_SIDE, MNIST_SIDE)
    readings = yield np.concatenate([framed, windows])
    probabilities = readings.probabilities[: len(framed)]
    probabilities = probabilities.reshape(*crops.shape[:2], NUM_CLASSES).mean(axis=1)
    context = np.ones(len(usable))
    labels = probabilities[crowded].argmax(axis=1)
    context[crowded] = readings.probabilities[len(framed) + np.arange(len(crowded)), labels]
    found = [
        Candidate(
            parts[k].box,
            parts[k].mask,
            _middle(parts[k].box),
            SIZE_PER_SIDE * parts[k].side,
            probabilities[row],
            contact=0.0,  # all strokes end inside the crop, or at its edge
            votes=1,
            context=float(context[row]),
            strength=ink_strength(parts[k].ink, parts[k].mask),
            at_edge=at_edge(parts[k].box, page.image.shape),
            kind=kind,
        )
        for row, k in enumerate(usable)
    ]
    scored = score_candidates(found, config.odds)
    digits: list[Candidate | None] = [None] * len(parts)
    for k, digit in zip(usable, scored, strict=True):
        digits[k] = digit
    return digits


def _shift(frame: Crop, x: int, y: int) -> Crop:
    """Returns a crop moved by whole pixels, with no ink where nothing was."""
    limit = max(abs(x), abs(y))
    padded = np.pad(frame, limit)
    return padded[limit - y :, limit - x :][:MNIST_SIDE, :MNIST_SIDE]


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _may_be_digit(part: Component, config: DetectorConfig) -> bool:
    height, width = part.mask.shape
    is_searched_size = config.min_size <= SIZE_PER_SIDE * part.side <= (config.max_size or np.inf)
    return is_searched_size and width <= config.components.max_aspect * height
