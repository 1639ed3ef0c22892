"""The search for digits in the connected components of an image's ink.

Most digits stand by themselves: a component, framed as MNIST's makers framed their digits, is read
with a high margin, and nothing else has to be searched. Only where the network is in doubt is the
ink taken apart or put together: rulings are erased, near pieces are joined, and windows of all
sizes are classified. `select` then chooses the candidates that explain the ink best.
"""

from collections.abc import Generator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.calibration import odds_scores
from digits_jax.detect.components import (
    Component,
    cluster_numbers,
    find_components,
    join,
    near_groups,
    split_mask,
)
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Classify, Crops, Readings
from digits_jax.detect.punctuation import remove_punctuation
from digits_jax.detect.rulings import erase_rulings
from digits_jax.detect.selection import Candidate, Cluster, select
from digits_jax.detect.window_proposals import thin_strokes
from digits_jax.detect.window_search import search_windows
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE, frame_ink
from digits_jax.images.pixels import uint8_to_float

Ink = UInt8[np.ndarray, "H W"]
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
    min_side = constants.min_piece * config.min_size / SIZE_PER_SIDE
    parts = find_components(image, constants.ink_threshold, min_side)
    digits = yield from read_components(parts, config)
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
    digits += yield from read_components(parts[first_piece:first_thin], config)
    digits += yield from read_components(parts[first_thin:], config, are_parts=True)
    unexplained = [k for k in unexplained if not _is_sure(digits[k], config)]

    # Strokes that do not touch may be one digit, and one component may be several digits.
    groups = near_groups([part.box for part in parts], unexplained, constants.max_gap)
    joined = yield from read_components([join([parts[k] for k in g]) for g in groups], config)
    # A small digit that touches a large one hardly changes how the two are read together, so the
    # thin strokes of components that are sure are searched as well.
    sure = [k for k, digit in enumerate(digits[:first_thin]) if _is_sure(digit, config)]
    searched = [*unexplained, *sure]
    is_doubtful = [True] * len(unexplained) + [False] * len(sure)
    inside = yield from search_windows([parts[k] for k in searched], is_doubtful, config)

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


def read_components(
    parts: Sequence[Component], config: DetectorConfig, *, are_parts: bool = False
) -> Generator[Crops, Readings, list[Candidate | None]]:
    """Classifies components, each framed by itself.

    Args:
      parts: the components.
      config: the constants of detection.
      are_parts: whether they are parts of components, whose scores are those of windows.

    Returns:
      A candidate for each component, or None if no digit has its shape or its size.
    """
    usable = [k for k, part in enumerate(parts) if _may_be_digit(part, config)]
    crops = np.zeros((len(usable), MNIST_SIDE, MNIST_SIDE), np.float32)
    for row, k in enumerate(usable):
        crops[row] = uint8_to_float(frame_ink(parts[k].ink))
    readings = yield crops
    # All strokes of a component end inside its crop, or at its edge.
    contacts = np.zeros(len(usable))
    odds = config.window_odds if are_parts else config.component_odds
    scores = odds_scores(readings.labels, readings.margins, contacts, odds)
    digits: list[Candidate | None] = [None] * len(parts)
    for row, k in enumerate(usable):
        box, _, mask = parts[k]
        digits[k] = Candidate(
            box,
            mask,
            SIZE_PER_SIDE * parts[k].side,
            readings.probabilities[row],
            contact=0.0,
            is_window=are_parts,
            score=float(scores[row]),
        )
    return digits


def _may_be_digit(part: Component, config: DetectorConfig) -> bool:
    height, width = part.mask.shape
    is_searched_size = config.min_size <= SIZE_PER_SIDE * part.side <= (config.max_size or np.inf)
    return is_searched_size and width <= config.components.max_aspect * height


def _is_sure(digit: Candidate | None, config: DetectorConfig) -> bool:
    return digit is not None and digit.score >= config.components.sure_score
