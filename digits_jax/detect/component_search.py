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
from digits_jax.detect.rulings import pieces_on_rulings
from digits_jax.detect.selection import remove_ink, select, soft_nms
from digits_jax.detect.touching import (
    InkSum,
    relative_ink,
    stroke_crossings,
    touching_probabilities,
)
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
    return choose_digits(clusters, config)


def choose_digits(clusters: Sequence[Cluster], config: DetectorConfig) -> list[Candidate]:
    """Returns the digits of an image with their final scores.

    Args:
      clusters: all of the image, as `find_candidates` returns them.
      config: the constants of detection.
    """
    return remove_punctuation(select(clusters, config.selection), config.punctuation)


def find_candidates(
    image: Ink, config: DetectorConfig
) -> Generator[Crops, Readings, list[Cluster]]:
    """Finds all candidates of an image.

    The three stages may be run apart, on the parts of an image that is larger than memory
    (`strips.py`): after each of the first two, the sums of `mean_ink` are those of all parts.

    Args:
      image: `[H, W]` uint8, ink bright.
      config: the constants of detection.
    """
    search = ComponentSearch(image, config)
    yield from search.read_components()
    yield from search.erase_rulings(search.ink_sum())
    return (yield from search.search_doubtful(search.ink_sum()))


class ComponentSearch:
    """The search in one image, stage by stage.

    Attributes:
      parts: components, and the pieces of those on rulings.
      digits: what each part is read as; None for those that cannot be a digit.
    """

    def __init__(self, image: Ink, config: DetectorConfig):
        """Finds the components of ink.

        Args:
          image: `[H, W]` uint8, ink bright.
          config: the constants of detection.
        """
        self._config = config
        self._page = Page(image, config.components.ink_threshold)
        self._min_side = config.components.min_piece * config.min_size / SIZE_PER_SIDE
        threshold = config.components.ink_threshold
        self.parts = find_components(image, threshold, self._min_side)
        self.digits: list[Candidate | None] = []
        self._crossings = list[int]()
        self._sources = list(range(len(self.parts)))  # the component that each part comes from
        self._doubtful = list[int]()
        self._ruled = set[int]()

    def ink_sum(self, rows: slice = slice(None)) -> InkSum:
        """Returns the sums over the parts read so far of the components that begin in some rows.

        Args:
          rows: rows of the image, by default all.
        """
        begin, end, _ = rows.indices(self._page.image.shape[0])
        tops = [self.parts[source].box[1] for source in self._sources]
        pairs = zip(tops, self.digits, strict=True)
        return InkSum.of([digit for top, digit in pairs if digit and begin <= top < end])

    def read_components(self) -> Generator[Crops, Readings, None]:
        """Reads each component by itself: the first stage."""
        self.digits = yield from read_components(self.parts, self._page, self._config)
        self._crossings = [stroke_crossings(part.mask) for part in self.parts]

    def erase_rulings(self, ink_sum: InkSum) -> Generator[Crops, Readings, None]:
        """Reads what stands on rulings, without them: the second stage.

        Args:
          ink_sum: that of the whole image after the first stage.
        """
        config = self._config
        count = len(self.digits)
        for k in self._find_doubtful(range(count), relative_ink(self.digits, ink_sum)):
            pieces, is_ruling = pieces_on_rulings(self.parts[k], self._min_side, config.rulings)
            if is_ruling:
                self._ruled.add(k)
                self._doubtful += range(len(self.parts), len(self.parts) + len(pieces))
            else:  # perhaps the straight stroke of a digit: with and without it are candidates
                self._doubtful.append(k)
            self.parts += pieces
            self._sources += [k] * len(pieces)
        self.digits += yield from read_components(self.parts[count:], self._page, config)
        self._crossings += [stroke_crossings(part.mask) for part in self.parts[count:]]

    def search_doubtful(self, ink_sum: InkSum) -> Generator[Crops, Readings, list[Cluster]]:
        """Reads doubtful parts again, joins them and searches their windows: the third stage.

        Args:
          ink_sum: that of the whole image after the second stage.

        Returns:
          All clusters of the image.
        """
        config, page, parts, digits = self._config, self._page, self.parts, self.digits
        relative_inks = relative_ink(digits, ink_sum)
        doubtful = self._find_doubtful(self._doubtful, relative_inks)
        seen = {k: digit for k in doubtful if (digit := digits[k]) is not None}
        again = yield from read_again([*seen.values()], [parts[k] for k in seen], config)
        for k, digit in zip(seen, again, strict=True):
            digits[k] = digit

        # Strokes that do not touch may be one digit, and one component may be several digits.
        boxes, constants = [part.box for part in parts], config.components
        groups = near_groups(boxes, doubtful, constants.max_gap, constants.max_aspect)
        pairs = [join([parts[k] for k in group]) for group in groups]
        joined = yield from read_components(pairs, page, config)
        probabilities = self._touching_probabilities(relative_inks)
        touching = [k for k in doubtful if probabilities[k] >= config.touching.min_probability]
        inside = yield from search_windows([parts[k] for k in touching], page.image.shape, config)

        windows = list[tuple[int, Candidate]]()
        for row, window in inside:
            whole = digits[touching[row]]
            if whole is None or not _is_same_digit(whole, window):
                windows.append((touching[row], window))
            elif window.score > whole.score:  # read better, but its box is the component's
                digits[touching[row]] = whole._replace(
                    probabilities=window.probabilities, score=window.score
                )

        numbers = cluster_numbers(len(parts), [*enumerate(self._sources), *groups])
        clusters = self._make_clusters(numbers)
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
            for piece in _unexplained_pieces(parts[k], clusters[numbers[k]], self._min_side, config)
        ]
        pieces = [piece for _, piece in left]
        remaining = yield from read_components(pieces, page, config, kind="rest")
        for (number, _), digit in zip(left, remaining, strict=True):
            if digit is not None:
                clusters[number].candidates.append(digit)
        return clusters

    def _make_clusters(self, numbers: Sequence[int]) -> list[Cluster]:
        """Returns the clusters with their ink and their boxes, without candidates."""
        count = max(numbers, default=-1) + 1
        ink_px = [0] * count
        members: list[list[int]] = [[] for _ in range(count)]
        for k, part in enumerate(self.parts):
            source = self._sources[k]
            height, width = part.mask.shape
            is_line = width > self._config.components.line_aspect * height
            members[numbers[k]].append(k)
            if k not in self._ruled and not is_line and (source == k or source in self._ruled):
                ink_px[numbers[k]] += int(np.count_nonzero(part.mask))
        return [
            Cluster(ink, [], tuple(self.parts[k].box for k in own))
            for ink, own in zip(ink_px, members, strict=True)
        ]

    def _touching_probabilities(self, relative_inks: Sequence[float]) -> list[float]:
        constants = self._config.touching
        return touching_probabilities(self.digits, self._crossings, relative_inks, constants)

    def _find_doubtful(self, indices: Iterable[int], relative_inks: Sequence[float]) -> list[int]:
        """Returns those of the parts that are not surely one digit each."""
        touching = self._touching_probabilities(relative_inks)
        constants = self._config
        return [
            k
            for k in indices
            if (digit := self.digits[k]) is None
            or digit.score < constants.components.sure_score
            or touching[k] >= constants.touching.min_probability
        ]


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
