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
from digits_jax.detect.selection import remove_ink, select, soft_nms
from digits_jax.detect.steps import RulingConfig
from digits_jax.detect.window_proposals import crop_window
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
    return remove_punctuation(select(clusters, config.selection), config.punctuation)


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

    # Without its rulings, a component falls into what stands on them.
    doubtful, ruled = list[int](), set[int]()
    sources = list(range(len(parts)))  # the component that each part comes from
    for k in [k for k, digit in enumerate(digits) if not _is_sure(digit, config)]:
        pieces, is_ruling = _pieces_on_rulings(parts[k], min_side, config.rulings)
        if is_ruling:
            ruled.add(k)
            doubtful += range(len(parts), len(parts) + len(pieces))
        else:  # perhaps the straight stroke of a digit: with and without it are candidates
            doubtful.append(k)
        parts += pieces
        sources += [k] * len(pieces)
    digits += yield from read_components(parts[len(digits) :], page, config)
    doubtful = [k for k in doubtful if not _is_sure(digits[k], config)]

    # Strokes that do not touch may be one digit, and one component may be several digits.
    groups = near_groups([part.box for part in parts], doubtful, constants.max_gap)
    joined = yield from read_components([join([parts[k] for k in g]) for g in groups], page, config)
    whole_scores = [digit.score if (digit := digits[k]) else 0.0 for k in doubtful]
    inside = yield from search_windows(
        [parts[k] for k in doubtful], whole_scores, image.shape, config
    )

    numbers = cluster_numbers(len(parts), [*enumerate(sources), *groups])
    ink_px = [0] * (max(numbers, default=-1) + 1)
    for k, part in enumerate(parts):
        is_piece = sources[k] != k
        height, width = part.mask.shape
        is_line = width > constants.line_aspect * height
        if k not in ruled and not is_line and (not is_piece or sources[k] in ruled):
            ink_px[numbers[k]] += int(np.count_nonzero(part.mask))
    clusters = [Cluster(count, []) for count in ink_px]
    for k, digit in [
        *enumerate(digits),
        *zip((group[0] for group in groups), joined, strict=True),
        *((doubtful[k], digit) for k, digit in inside),
    ]:
        if digit is not None:
            clusters[numbers[k]].candidates.append(digit)

    # What the best candidates leave of a component may be a digit: the 1 that touches a 0.
    left = [
        (numbers[k], piece)
        for k in doubtful
        for piece in _unexplained_pieces(parts[k], clusters[numbers[k]], min_side, config)
    ]
    remaining = yield from read_components([piece for _, piece in left], page, config, kind="rest")
    for (number, _), digit in zip(left, remaining, strict=True):
        if digit is not None:
            clusters[number].candidates.append(digit)
    return clusters


def _unexplained_pieces(
    part: Component, cluster: Cluster, min_side: float, config: DetectorConfig
) -> list[Component]:
    """Returns the pieces of a component that the best candidates of its cluster leave over."""
    unexplained = part.mask.copy()
    for visit in soft_nms(cluster, config.selection):
        if visit.selected and visit.log_odds > 0:  # more likely a digit than not
            remove_ink(unexplained, part.box, cluster.candidates[visit.candidate])
    if (unexplained == part.mask).all():
        return []
    min_side = max(min_side, config.components.min_rest * part.side)
    return list(split_mask(part.ink, unexplained, part.box[:2], min_side))


def _pieces_on_rulings(
    part: Component, min_side: float, config: RulingConfig
) -> tuple[list[Component], bool]:
    """Returns what is left of a component without its rulings, and whether they surely are some.

    There are no pieces if the component has nothing that looks like a ruling.
    """
    without = erase_rulings(part.mask, config)
    if without is None:
        return [], False
    pieces = list(split_mask(part.ink, without, part.box[:2], min_side))
    rows, columns = np.nonzero(part.mask & ~without)
    length = max(np.ptp(rows), np.ptp(columns)) + 1
    largest = max((piece.side for piece in pieces), default=0)
    return pieces, bool(length >= config.min_length_per_piece * largest)


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
            kind=kind,
        )
        for row, k in enumerate(usable)
    ]
    scored = score_candidates(found, config.odds)
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
