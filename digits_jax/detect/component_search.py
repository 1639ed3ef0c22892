"""The search for digits in the connected components of an image's ink.

Most digits stand by themselves: a component, framed as MNIST's makers framed their digits, is read
with a high margin, and nothing else has to be searched. Only where the network is in doubt is the
ink taken apart or put together: rulings are erased, near pieces are joined, and windows of all
sizes are classified. `select` then chooses the candidates that explain the ink best.
"""

from collections.abc import Generator, Sequence
from itertools import accumulate, pairwise

import cv2
import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.calibration import score_candidates
from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.components import (
    Box,
    Component,
    at_edge,
    cluster_numbers,
    find_components,
    ink_strength,
    join,
    near_groups,
    split_mask,
)
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Classify, Crops, Readings
from digits_jax.detect.punctuation import remove_punctuation
from digits_jax.detect.rulings import erase_rulings
from digits_jax.detect.selection import select
from digits_jax.detect.window_proposals import crop_window, thin_strokes
from digits_jax.detect.window_search import search_windows
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE, frame_ink
from digits_jax.images.pixels import uint8_to_float

Ink = UInt8[np.ndarray, "H W"]
MIN_OTHER_INK = 0.005  # share of a window's area: less is dirt
SIZE_PER_SIDE = MNIST_SIDE / MNIST_DIGIT_SIDE  # a digit's size ÷ the longer side of its box


def search_images(
    images: Sequence[Ink], classify: Classify, config: DetectorConfig
) -> list[list[Candidate]]:
    """Returns the digits of each image; the crops of all images are classified together.

    Args:
      images: `[H, W]` uint8, ink bright, of any sizes.
      classify: as `crop_classifier` returns it.
      config: the constants of detection.
    """
    searches = [search_image(image, config) for image in images]
    found: list[list[Candidate]] = [[] for _ in images]
    requests = {k: next(search) for k, search in enumerate(searches)}
    while requests:
        readings = classify(list(requests.values()))
        answers = pairwise(accumulate(map(len, requests.values()), initial=0))
        remaining = {}
        for k, (begin, end) in zip(requests, answers, strict=True):
            try:
                remaining[k] = searches[k].send(readings.rows(slice(begin, end)))
            except StopIteration as finished:
                found[k] = finished.value
        requests = remaining
    return found


def search_image(image: Ink, config: DetectorConfig) -> Generator[Crops, Readings, list[Candidate]]:
    """Searches one image, as a generator: yields crops, receives readings, and returns the digits.

    Args:
      image: `[H, W]` uint8, ink bright.
      config: the constants of detection.
    """
    clusters = yield from find_candidates(image, config)
    chosen = (select(cluster, config.selection) for cluster in clusters)
    return remove_punctuation([d for cluster in chosen for d in cluster], config.punctuation)


def find_candidates(
    image: Ink, config: DetectorConfig
) -> Generator[Crops, Readings, list[Cluster]]:
    """Finds all candidates of an image.

    Args:
      image: `[H, W]` uint8, ink bright.
      config: the constants of detection.
    """
    constants = config.components
    page = _Page(image, constants.ink_threshold)
    min_side = constants.min_piece * config.min_size / SIZE_PER_SIDE
    parts = find_components(image, constants.ink_threshold, min_side)
    digits = yield from read_components(parts, page, config)
    first_piece = len(parts)
    sources = list(range(first_piece))  # the component that each part comes from

    # Without its rulings, a component falls into what stands on them.
    unexplained = []
    for k in [k for k, digit in enumerate(digits) if not _is_sure(digit, config)]:
        without = erase_rulings(parts[k].mask, config.rulings)
        if without is None:
            unexplained.append(k)
            continue
        for piece in split_mask(parts[k].ink, without, parts[k].box[:2], min_side):
            unexplained.append(len(parts))
            parts.append(piece)
            sources.append(k)
    first_thin = len(parts)
    # A small digit that touches a large one has thinner strokes.
    for k in range(first_piece):
        thin = thin_strokes(parts[k], min_side, config.windows)
        if thin is not None:
            for piece in split_mask(parts[k].ink, thin, parts[k].box[:2], 2 * min_side):
                parts.append(piece)
                sources.append(k)
    digits += yield from read_components(parts[first_piece:first_thin], page, config)
    digits += yield from read_components(parts[first_thin:], page, config, are_parts=True)
    unexplained = [k for k in unexplained if not _is_sure(digits[k], config)]

    # Strokes that do not touch may be one digit, and one component may be several digits.
    groups = near_groups([part.box for part in parts], unexplained, constants.max_gap)
    joined = yield from read_components([join([parts[k] for k in g]) for g in groups], page, config)
    # A small digit that touches a large one hardly changes how the two are read together, so the
    # thin strokes of components that are sure are searched as well.
    sure = [k for k, digit in enumerate(digits[:first_thin]) if _is_sure(digit, config)]
    searched = [*unexplained, *sure]
    is_doubtful = [True] * len(unexplained) + [False] * len(sure)
    inside = yield from search_windows(
        [parts[k] for k in searched], is_doubtful, image.shape, config
    )

    clusters = cluster_numbers(len(parts), [*enumerate(sources), *groups])
    candidates: dict[int, list[Candidate]] = {}
    for k, digit in [
        *enumerate(digits),
        *zip((group[0] for group in groups), joined, strict=True),
        *((searched[k], digit) for k, digit in inside),
    ]:
        if digit is not None:
            candidates.setdefault(clusters[k], []).append(digit)
    has_pieces = set(sources[first_piece:first_thin])
    ink = [0] * len(parts)
    for k, part in enumerate(parts):
        if k not in has_pieces and k < first_thin:
            ink[clusters[k]] += int(np.count_nonzero(part.mask))
    return [Cluster(max(ink[number], 1), own) for number, own in candidates.items()]


class _Page:
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
    page: "_Page",
    config: DetectorConfig,
    *,
    are_parts: bool = False,
) -> Generator[Crops, Readings, list[Candidate | None]]:
    """Classifies components, each framed by itself.

    Args:
      parts: the components.
      page: the image that they are from.
      config: the constants of detection.
      are_parts: whether they are parts of components, whose scores are those of windows.

    Returns:
      A candidate for each component, or None if no digit has its shape or its size.
    """
    usable = [k for k, part in enumerate(parts) if _may_be_digit(part, config)]
    crops = np.zeros((len(usable), MNIST_SIDE, MNIST_SIDE), np.float32)
    for row, k in enumerate(usable):
        crops[row] = uint8_to_float(frame_ink(parts[k].ink))
    # Only where there is other ink around, its window shows anything else.
    crowded = [row for row, k in enumerate(usable) if page.has_other_ink(parts[k])]
    windows = np.zeros((len(crowded), MNIST_SIDE, MNIST_SIDE), np.float32)
    for i, row in enumerate(crowded):
        part = parts[usable[row]]
        centre = np.array(_middle(part.box))
        windows[i] = crop_window(page.image, centre, SIZE_PER_SIDE * part.side)
    readings = yield np.concatenate([crops, windows])
    context = np.ones(len(usable))
    labels = readings.labels[crowded]
    context[crowded] = readings.probabilities[len(usable) + np.arange(len(crowded)), labels]
    found = [
        Candidate(
            parts[k].box,
            parts[k].mask,
            _middle(parts[k].box),
            SIZE_PER_SIDE * parts[k].side,
            readings.probabilities[row],
            contact=0.0,  # all strokes end inside the crop, or at its edge
            votes=1,
            context=float(context[row]),
            strength=ink_strength(parts[k].ink, parts[k].mask),
            at_edge=at_edge(parts[k].box, page.image.shape),
            is_window=are_parts,
        )
        for row, k in enumerate(usable)
    ]
    scored = score_candidates(found, config.component_odds, config.window_odds)
    digits: list[Candidate | None] = [None] * len(parts)
    for k, digit in zip(usable, scored, strict=True):
        digits[k] = digit
    return digits


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _may_be_digit(part: Component, config: DetectorConfig) -> bool:
    height, width = part.mask.shape
    is_searched_size = config.min_size <= SIZE_PER_SIDE * part.side <= (config.max_size or np.inf)
    return is_searched_size and width <= config.components.max_aspect * height


def _is_sure(digit: Candidate | None, config: DetectorConfig) -> bool:
    return digit is not None and digit.score >= config.components.sure_score
