"""The search for digits in windows of components that are not one digit by themselves.

Touching and overlapping digits are one component, so the digits are sought in windows of every size
that its ink can have, the largest first. Smaller windows are classified only where there is ink
that no digit explains yet.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

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
    thin_strokes,
    window_sizes,
)
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE

WINDOWS_AT_ONCE = 4096  # bounds the memory
THIN_SIZE_RATIO = 1.8  # of a large digit and one with thin strokes that touches it
BODY_SHARE = 22 / 28  # of a window's side: what a whole digit in it fills


class _Read(NamedTuple):
    """A window in which the network sees a digit."""

    part: int
    centre_xy: Float[np.ndarray, "2"]
    side: float
    probabilities: Float32[np.ndarray, "10"]
    contact: float
    margin: float
    votes: int = 1


class _Search:
    """The state of the search in one component."""

    def __init__(self, part: Component, *, is_doubtful: bool, config: DetectorConfig):
        """Finds the sizes of the windows, and the ink that they are to explain.

        Args:
          part: the component.
          is_doubtful: whether all of its ink is searched, or only its thin strokes.
          config: the constants of detection.
        """
        constants = config.windows
        self.part, self.found = part, list[_Read]()
        self.sizes, self.thick_sizes = window_sizes(part, config)
        thin = thin_strokes(part, config.min_size * MNIST_DIGIT_SIDE / MNIST_SIDE, constants)
        nothing = np.zeros_like(part.mask)
        self.thin = nothing if thin is None else thin
        self.ink = part.mask.copy() if is_doubtful else nothing
        self.enough = constants.max_unexplained * np.count_nonzero(self.ink)
        # Larger windows show the large digit that a small one touches.
        self.largest_for_thin = part.side * MNIST_SIDE / MNIST_DIGIT_SIDE / THIN_SIZE_RATIO

    def sought(self, step: int) -> Bool[np.ndarray, "h w"] | None:
        """Returns the ink that windows of a size have to show, or None if there is none."""
        if step >= len(self.sizes):
            return None
        sought = np.zeros_like(self.ink)
        if step < self.thick_sizes and np.count_nonzero(self.ink) > self.enough:
            sought |= self.ink
        if self.sizes[step] <= self.largest_for_thin:
            sought |= self.thin
        return sought if sought.any() else None

    def explain(self, window: "_Read") -> None:
        """Marks the ink in a window as explained."""
        half = BODY_SHARE / 2 * window.side
        x, y = window.centre_xy
        rows, columns = (slice(max(round(c - half), 0), round(c + half)) for c in (y, x))
        self.ink[rows, columns] = False
        if window.side <= self.largest_for_thin:
            self.thin[rows, columns] = False


def search_windows(
    parts: Sequence[Component],
    is_doubtful: Sequence[bool],
    shape: tuple[int, ...],
    config: DetectorConfig,
) -> Generator[Crops, Readings, list[tuple[int, Candidate]]]:
    """Classifies the windows of components, and the ink in the best of them once more.

    The second window is centred on the tight box around the ink that the first one read, and as
    large as such a digit fills it. The probabilities of the candidate are the mean of both.

    Args:
      parts: the components.
      is_doubtful: whether digits are sought in all ink of each, or only in its thin strokes.
      shape: height and width of the image, px.
      config: the constants of detection.

    Returns:
      The candidates, each with the index of its component.
    """
    constants = config.windows
    searches = [
        _Search(part, is_doubtful=doubtful, config=config)
        for part, doubtful in zip(parts, is_doubtful, strict=True)
    ]
    for step in range(max((len(search.sizes) for search in searches), default=0)):
        waiting: list[Windows] = []
        for k, search in enumerate(searches):
            sought = search.sought(step)
            if sought is not None:
                size, stride = search.sizes[step], constants.stride
                waiting.append(propose_windows(k, search.part, sought, size, stride))
            if waiting and (
                k == len(parts) - 1 or sum(len(w.sides) for w in waiting) >= WINDOWS_AT_ONCE
            ):
                yield from _read_windows(waiting, searches, constants)
                waiting = []

    distinct = [w for search in searches for w in _distinct(search.found, constants)]
    boxes, centred = [], list[_Read]()
    crops = np.zeros((len(distinct), MNIST_SIDE, MNIST_SIDE), np.float32)
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
        crops[row] = crop_window(ink, centre, side)
    again = yield crops
    found = []
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
                (window.probabilities + again.probabilities[row]) / 2,
                contact=min(window.contact, float(again.contacts[row])),
                votes=window.votes,
                context=1.0,  # windows show all ink of their component
                strength=ink_strength(part.ink[y0:y1, x0:x1], mask),
                at_edge=at_edge(box, shape),
                is_window=True,
            )
            found.append((window.part, candidate))
    scored = score_candidates(
        [candidate for _, candidate in found], config.component_odds, config.window_odds
    )
    return [(part, candidate) for (part, _), candidate in zip(found, scored, strict=True)]


def _read_windows(
    waiting: Sequence[Windows], searches: Sequence[_Search], config: WindowConfig
) -> Generator[Crops, Readings, None]:
    """Classifies windows, keeps those with a digit, and marks the ink that sure ones explain."""
    readings = yield np.concatenate([windows.crops for windows in waiting])
    margins, first = readings.margins, 0
    for windows in waiting:
        search = searches[windows.part]
        for row in np.flatnonzero(margins[first : first + len(windows.sides)] >= config.min_margin):
            window = _Read(
                windows.part,
                windows.centres_xy[row],
                float(windows.sides[row]),
                readings.probabilities[first + row],
                float(readings.contacts[first + row]),
                float(margins[first + row]),
            )
            search.found.append(window)
            if window.margin >= config.sure_margin and window.contact <= config.sure_contact:
                search.explain(window)
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
