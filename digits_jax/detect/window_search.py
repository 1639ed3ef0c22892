"""The search for digits in windows of components that are not one digit by themselves.

Touching and overlapping digits are one component, so the digits are sought in windows of every size
that fits into it.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from digits_jax.detect.boxes import tight_box
from digits_jax.detect.calibration import score_candidates
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.components import Component, at_edge, ink_strength
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Crops, Readings
from digits_jax.detect.steps import WindowConfig
from digits_jax.detect.window_proposals import (
    Windows,
    crop_window,
    propose_windows,
    window_sizes,
)
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE, frame_ink
from digits_jax.models.cnn import NUM_CLASSES
from digits_jax.models.fcn.features import STRIDE

WINDOWS_AT_ONCE = 4096  # bounds the memory
# The windows of the second reading, in px of the 28 px window: those of the exhaustive search that
# are averaged.
SHIFTS = STRIDE * np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), axis=-1).reshape(-1, 2)
MIDDLE_SHIFT = len(SHIFTS) // 2


class _Read(NamedTuple):
    """A window in which the network sees a digit."""

    part: int
    centre_xy: Float[np.ndarray, "2"]
    side: float
    probabilities: Float32[np.ndarray, "10"]
    contact: float
    margin: float
    votes: int = 1


def search_windows(
    parts: Sequence[Component], shape: tuple[int, ...], config: DetectorConfig
) -> Generator[Crops, Readings, list[tuple[int, Candidate]]]:
    """Classifies the windows of components, and the ink in the best of them once more.

    The second reading is the mean of 3×3 neighbouring windows, whose middle one is centred on the
    tight box around the ink that the first window showed, and as large as such a digit fills it.
    The probabilities of the candidate are the mean of both readings.

    Args:
      parts: the components.
      shape: height and width of the image, px.
      config: the constants of detection.

    Returns:
      The candidates, each with the index of its component.
    """
    constants = config.windows
    found: list[list[_Read]] = [[] for _ in parts]
    for windows in _in_blocks(_propose(parts, config)):
        readings = yield np.concatenate([w.crops for w in windows])
        for window in _with_digits(windows, readings, constants):
            found[window.part].append(window)

    distinct = [window for windows in found for window in _distinct(windows, constants)]
    boxes, centred = [], list[_Read]()
    crops = np.zeros((len(distinct), len(SHIFTS), MNIST_SIDE, MNIST_SIDE), np.float32)
    for row, window in enumerate(distinct):
        ink = parts[window.part].ink
        corners = np.concatenate([window.centre_xy - window.side / 2] * 2)
        corners[2:] += window.side
        label = int(window.probabilities.argmax())
        x0, y0, x1, y1 = tight_box(ink, corners, label, config.boxes).tolist()
        boxes.append((x0, y0, x1, y1))
        centre = np.array([x0 + x1, y0 + y1]) / 2
        side = max(x1 - x0, y1 - y0) * MNIST_SIDE / MNIST_DIGIT_SIDE
        centred.append(window._replace(centre_xy=centre, side=side))
        for k, shift in enumerate(SHIFTS):
            crops[row, k] = crop_window(ink, centre + shift * side / MNIST_SIDE, side)
    again = yield crops.reshape(-1, MNIST_SIDE, MNIST_SIDE)
    probabilities = again.probabilities.reshape(len(distinct), len(SHIFTS), NUM_CLASSES).mean(
        axis=1
    )
    contacts = again.contacts.reshape(len(distinct), len(SHIFTS))[:, MIDDLE_SHIFT]
    candidates = []
    for row, (window, (x0, y0, x1, y1)) in enumerate(zip(centred, boxes, strict=True)):
        part = parts[window.part]
        left, top = part.box[:2]
        mask = part.mask[y0:y1, x0:x1]
        is_searched_size = config.min_size <= window.side <= (config.max_size or np.inf)
        if mask.any() and is_searched_size:
            box = (x0 + left, y0 + top, x1 + left, y1 + top)
            candidate = Candidate(
                box,
                mask,
                (float(window.centre_xy[0]) + left, float(window.centre_xy[1]) + top),
                window.side,
                (window.probabilities + probabilities[row]) / 2,
                contact=min(window.contact, float(contacts[row])),
                votes=window.votes,
                context=np.ones(NUM_CLASSES, np.float32),  # windows show all ink of their component
                strength=ink_strength(part.ink[y0:y1, x0:x1], mask),
                at_edge=at_edge(box, shape),
                kind="window",
                crop=frame_ink(part.ink[y0:y1, x0:x1]),
            )
            candidates.append((window.part, candidate))
    scored = score_candidates([candidate for _, candidate in candidates], config.odds)
    return [(part, candidate) for (part, _), candidate in zip(candidates, scored, strict=True)]


def _propose(parts: Sequence[Component], config: DetectorConfig) -> Iterator[Windows]:
    """Yields the windows of all components, those of each size together."""
    for number, part in enumerate(parts):
        for size in window_sizes(part, config):
            yield propose_windows(number, part, size, config.windows)


def _in_blocks(proposed: Iterator[Windows]) -> Iterator[list[Windows]]:
    """Yields lists of windows that are classified together."""
    block, count = list[Windows](), 0
    for windows in proposed:
        block.append(windows)
        count += len(windows.sides)
        if count >= WINDOWS_AT_ONCE:
            yield block
            block, count = [], 0
    if block:
        yield block


def _with_digits(
    proposed: Sequence[Windows], readings: Readings, config: WindowConfig
) -> Iterator[_Read]:
    """Yields the windows in which the network sees a digit."""
    margins, first = readings.margins, 0
    for windows in proposed:
        for row in np.flatnonzero(margins[first : first + len(windows.sides)] >= config.min_margin):
            yield _Read(
                windows.part,
                windows.centres_xy[row],
                float(windows.sides[row]),
                readings.probabilities[first + row],
                float(readings.contacts[first + row]),
                float(margins[first + row]),
            )
        first += len(windows.sides)


def _distinct(windows: Sequence[_Read], config: WindowConfig) -> list[_Read]:
    """Returns the best of the windows that see the same digit at about the same place and size."""
    if not windows:
        return []
    centres = np.stack([window.centre_xy for window in windows])
    sides = np.array([window.side for window in windows])
    labels = np.array([window.probabilities.argmax() for window in windows])
    margins = np.array([window.margin for window in windows])
    open_rows = np.ones(len(windows), bool)
    best: list[_Read] = []
    for k in np.argsort(-margins, kind="stable"):
        if open_rows[k]:
            smaller, larger = np.minimum(sides, sides[k]), np.maximum(sides, sides[k])
            near = np.hypot(*(centres - centres[k]).T) < config.same_radius * smaller
            same = near & (larger < config.same_size_ratio * smaller) & (labels == labels[k])
            best.append(windows[k]._replace(votes=int(np.count_nonzero(same))))
            open_rows &= ~same
    return best
