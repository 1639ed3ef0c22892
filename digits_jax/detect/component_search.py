"""The search for digits in the connected components of an image's ink.

Most digits stand by themselves: a component, framed as MNIST's makers framed their digits, is read
with a high margin, and nothing else has to be searched. Only where the network is in doubt, or the
component is probably several digits, is the ink taken apart or put together: rulings are erased,
the rest is read a second time, near pieces are joined, and windows of all sizes are classified in
what may be several digits. `select` then chooses the candidates that explain the ink best.
"""

from collections.abc import Generator, Iterable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.component_readings import (
    SIZE_PER_SIDE,
    Ink,
    Page,
    read_again,
    read_components,
)
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
from digits_jax.detect.selection import remove_ink, select, soft_nms
from digits_jax.detect.steps import RulingConfig
from digits_jax.detect.touching import stroke_crossings, touching_probabilities
from digits_jax.detect.window_search import search_windows
from digits_jax.images.box_iou import box_iou

# A window inside a component is the same digit if they are read as one and overlap this much.
SAME_DIGIT_IOU = 0.8


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
    page = Page(image, constants.ink_threshold)
    min_side = constants.min_piece * config.min_size / SIZE_PER_SIDE
    parts = find_components(image, constants.ink_threshold, min_side)
    digits = yield from read_components(parts, page, config)
    crossings = [stroke_crossings(part.mask) for part in parts]

    # Without its rulings, a component falls into what stands on them.
    doubtful, ruled = list[int](), set[int]()
    sources = list(range(len(parts)))  # the component that each part comes from
    for k in _doubtful(digits, crossings, range(len(digits)), config):
        pieces, is_ruling = _pieces_on_rulings(parts[k], min_side, config.rulings)
        if is_ruling:
            ruled.add(k)
            doubtful += range(len(parts), len(parts) + len(pieces))
        else:  # perhaps the straight stroke of a digit: with and without it are candidates
            doubtful.append(k)
        parts += pieces
        sources += [k] * len(pieces)
    digits += yield from read_components(parts[len(digits) :], page, config)
    crossings += [stroke_crossings(part.mask) for part in parts[len(crossings) :]]
    doubtful = _doubtful(digits, crossings, doubtful, config)
    seen = {k: digit for k in doubtful if (digit := digits[k]) is not None}
    again = yield from read_again([*seen.values()], [parts[k] for k in seen], config)
    for k, digit in zip(seen, again, strict=True):
        digits[k] = digit

    # Strokes that do not touch may be one digit, and one component may be several digits.
    groups = near_groups([part.box for part in parts], doubtful, constants.max_gap)
    joined = yield from read_components([join([parts[k] for k in g]) for g in groups], page, config)
    probabilities = touching_probabilities(digits, crossings, config.touching)
    touching = [k for k in doubtful if probabilities[k] >= config.touching.min_probability]
    inside = yield from search_windows([parts[k] for k in touching], image.shape, config)

    windows = list[tuple[int, Candidate]]()
    for row, window in inside:
        whole = digits[touching[row]]
        if whole is None or not _is_same_digit(whole, window):
            windows.append((touching[row], window))
        elif window.score > whole.score:  # read better, but its box is the component's
            digits[touching[row]] = whole._replace(
                probabilities=window.probabilities, score=window.score
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
        *windows,
    ]:
        if digit is not None:
            clusters[numbers[k]].candidates.append(digit)

    # What the best candidates leave of a component may be a digit: the 1 that touches a 0.
    left = [
        (numbers[k], piece)
        for k in touching
        for piece in _unexplained_pieces(parts[k], clusters[numbers[k]], min_side, config)
    ]
    remaining = yield from read_components([piece for _, piece in left], page, config, kind="rest")
    for (number, _), digit in zip(left, remaining, strict=True):
        if digit is not None:
            clusters[number].candidates.append(digit)
    return clusters


def _is_same_digit(whole: Candidate, window: Candidate) -> bool:
    """Returns whether a window shows what the component that it is in is read as."""
    overlap = float(box_iou(np.array([whole.box]), np.array([window.box])).item())
    return whole.label == window.label and overlap >= SAME_DIGIT_IOU


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


def _doubtful(
    digits: Sequence[Candidate | None],
    crossings: Sequence[int],
    indices: Iterable[int],
    config: DetectorConfig,
) -> list[int]:
    """Returns those of the indices whose components are not surely one digit each."""
    touching = touching_probabilities(digits, crossings, config.touching)
    return [
        k
        for k in indices
        if (digit := digits[k]) is None
        or digit.score < config.components.sure_score
        or touching[k] >= config.touching.min_probability
    ]
