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
# x and y, px of the 28 px window: where a doubtful component is read again.
SHIFTS = ((-STRIDE, 0), (STRIDE, 0), (0, -STRIDE), (0, STRIDE))
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
) -> Generator[Crops, Readings, list[Candidate | None]]:
    """Classifies components, each framed by itself.

    Args:
      parts: the components.
      page: the image that they are from.
      config: the constants of detection.
      kind: that of the candidates, one of `KINDS`.

    Returns:
      A candidate for each component, or None if no digit has its shape or its size.
    """
    usable = [k for k, part in enumerate(parts) if _may_be_digit(part, config)]
    frames = np.zeros((len(usable), MNIST_SIDE, MNIST_SIDE), np.uint8)
    for row, k in enumerate(usable):
        frames[row] = frame_ink(parts[k].ink)
    # Only where there is other ink around, its window shows anything else.
    crowded = [row for row, k in enumerate(usable) if page.has_other_ink(parts[k])]
    windows = np.zeros((len(crowded), MNIST_SIDE, MNIST_SIDE), np.float32)
    for i, row in enumerate(crowded):
        part = parts[usable[row]]
        centre = np.array(_middle(part.box))
        windows[i] = crop_window(page.image, centre, SIZE_PER_SIDE * part.side)
    probabilities = (yield np.concatenate([uint8_to_float(frames), windows])).probabilities
    context = np.ones((len(usable), NUM_CLASSES), np.float32)
    context[crowded] = probabilities[len(usable) :]
    found = [
        Candidate(
            parts[k].box,
            parts[k].mask,
            _middle(parts[k].box),
            SIZE_PER_SIDE * parts[k].side,
            probabilities[row],
            contact=0.0,  # all strokes end inside the crop, or at its edge
            votes=1,
            context=context[row],
            strength=ink_strength(parts[k].ink, parts[k].mask),
            at_edge=at_edge(parts[k].box, page.image.shape),
            kind=kind,
            crop=frames[row],
        )
        for row, k in enumerate(usable)
    ]
    scored = score_candidates(found, config.odds)
    digits: list[Candidate | None] = [None] * len(parts)
    for k, digit in zip(usable, scored, strict=True):
        digits[k] = digit
    return digits


def read_again(
    digits: Sequence[Candidate], parts: Sequence[Component], config: DetectorConfig
) -> Generator[Crops, Readings, list[Candidate]]:
    """Classifies components once more, moved by 2 px along each axis, either way.

    Args:
      digits: what `read_components` found.
      parts: the component of each.
      config: the constants of detection.

    Returns:
      The candidates with the mean of the five readings' probabilities.
    """
    crops = np.zeros((len(parts), len(SHIFTS), MNIST_SIDE, MNIST_SIDE), np.float32)
    for part, places in zip(parts, crops, strict=True):
        padded = np.pad(uint8_to_float(frame_ink(part.ink)), STRIDE)
        for crop, (x, y) in zip(places, SHIFTS, strict=True):
            crop[:] = padded[STRIDE - y :, STRIDE - x :][:MNIST_SIDE, :MNIST_SIDE]
    readings = yield crops.reshape(-1, MNIST_SIDE, MNIST_SIDE)
    moved = readings.probabilities.reshape(len(parts), len(SHIFTS), NUM_CLASSES)
    averaged = [
        digit._replace(probabilities=(digit.probabilities + places.sum(axis=0)) / (1 + len(SHIFTS)))
        for digit, places in zip(digits, moved, strict=True)
    ]
    return score_candidates(averaged, config.odds)


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _may_be_digit(part: Component, config: DetectorConfig) -> bool:
    height, width = part.mask.shape
    is_searched_size = config.min_size <= SIZE_PER_SIDE * part.side <= (config.max_size or np.inf)
    return is_searched_size and width <= config.components.max_aspect * height
