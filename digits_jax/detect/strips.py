"""Detection in images larger than memory: in strips of rows, with the result of the whole image.

A strip owns the rows from `begin` to `end`, and with them the components, and the clusters of
components, whose first row is one of these. Rows above and below are read as well: all that is
owned has to be whole, with the ink around it that its reading depends on.

Sums over all components of the image enter the search (`InkSum`), so each stage of
`ComponentSearch` is run on all strips before the next one. The scores depend on all clusters of the
image: these are kept, and the digits are chosen at the end. The memory is that of one strip and of
what the clusters hold.
"""

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.component_search import ComponentSearch, choose_digits
from digits_jax.detect.components import EIGHT_CONNECTED, Box
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Classify, Crops, Readings
from digits_jax.detect.touching import InkSum
from digits_jax.runtime.progress import progress

STRIP_PIXELS = 32 * 2**20  # of a strip; the search takes about ten bytes a pixel
MAX_GROWTH = 4 / 3  # of a strip where components are high
# px: ink farther away does not change how a component is read. Strokes of one digit are no farther
# apart either, unless one is higher than 850 px.
REACH_PX = 128
STAGES = 3

Log = Callable[[str], None]
Found = TypeVar("Found")


@runtime_checkable
class InkRows(Protocol):
    """An image of which some rows are read at a time, ink bright on black."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""

    def read(self, begin: int, end: int) -> UInt8[np.ndarray, "_ w"]:
        """Returns the rows from `begin` to `end`, the latter exclusive."""


class Strip(NamedTuple):
    """Rows of an image, px from its first row."""

    begin: int  # of the rows that it owns
    end: int  # exclusive
    top: int  # of the rows that are read
    bottom: int  # exclusive
    # Components that cross this row are cut there, since the strip above could not hold them.
    cut_above: int | None = None
    is_cut: bool = False  # whether it does not hold all that it owns


def plan_strips(
    image: InkRows,
    threshold: float,
    *,
    strip_pixels: int = STRIP_PIXELS,
    min_rows: int = 2 * REACH_PX,
) -> Iterator[Strip]:
    """Yields strips that own all rows of an image, and that hold whole what they own.

    Components that need more than 4/3 of `strip_pixels` are the exception: such strips are marked.

    Args:
      image: the image.
      threshold: pixels brighter than this share of 255 are ink, 0–1.
      strip_pixels: how many pixels a strip usually has.
      min_rows: the fewest rows that a strip owns, also where the image is so wide that it then has
        more pixels.
    """
    height, width = image.shape
    rows = max(strip_pixels // width - 4 * REACH_PX, min_rows)
    cut_above = None
    for begin in range(0, height, rows):
        end = min(begin + rows, height)
        top, bottom = max(begin - REACH_PX, 0), min(end + 3 * REACH_PX, height)
        most = min(max(int(MAX_GROWTH * strip_pixels) // width + top, bottom), height)
        needed = _needed_bottom(image.read(top, bottom), top, begin, end, threshold, height)
        while bottom < needed and bottom < most:
            bottom = min(max(needed, bottom + REACH_PX), most)
            needed = _needed_bottom(image.read(top, bottom), top, begin, end, threshold, height)
        is_cut = needed > bottom
        yield Strip(begin, end, top, bottom, cut_above, is_cut)
        cut_above = bottom if is_cut else None


def search_in_strips(
    image: InkRows,
    classify: Classify,
    config: DetectorConfig,
    *,
    log: Log | None = None,
    strip_pixels: int = STRIP_PIXELS,
) -> list[Candidate]:
    """Returns the digits of an image, as `search_images` does of one that is in memory.

    Args:
      image: the image.
      classify: as `crop_classifier` returns it.
      config: the constants of detection.
      log: receives a line of text about what is searched in parts. With it, progress is shown on
        standard error.
      strip_pixels: how many pixels a strip usually has.
    """
    threshold = config.components.ink_threshold
    strips = list(plan_strips(image, threshold, strip_pixels=strip_pixels))
    sums: list[InkSum] = []
    clusters: list[Cluster] = []
    for stage in range(1, STAGES + 1):
        total, unit = InkSum(0, 0.0, 0.0), f"stage {stage} of {STAGES}, strip"
        for number, strip in enumerate(progress(strips, unit, len(strips), hidden=log is None)):
            found, own_sum = _search_strip(image, strip, sums, classify, config)
            total += own_sum
            owned = [cluster for cluster in found if _owns(strip, cluster)]
            clusters += owned
            strips[number] = _whole_or_cut(strip, owned, image.shape[0])
        sums.append(total)
    for strip in strips:
        if strip.is_cut and log:
            log(
                f"ink from row {strip.begin:,} on is connected over more than "
                f"{strip.bottom - strip.top:,} rows, such as the frame of a form, and is searched "
                "in parts: digits may be missing where they touch it"
            )
    return choose_digits(clusters, config)


def _search_strip(
    image: InkRows, strip: Strip, sums: list[InkSum], classify: Classify, config: DetectorConfig
) -> tuple[list[Cluster], InkSum]:
    """Runs the stages for which there are sums, and the next one, in one strip.

    A function of its own, so that the memory of a strip is free before the next one is read.

    Returns:
      The clusters, px of the image, after the last stage, and none before it; and the sums over
      the components that the strip owns.
    """
    rows = _read(image, strip, config.components.ink_threshold)
    search = ComponentSearch(rows, config)
    _run(search.read_components(), classify)
    if sums:
        _run(search.erase_rulings(sums[0]), classify)
    clusters: list[Cluster] = []
    if len(sums) > 1:
        found = _run(search.search_doubtful(sums[1]), classify)
        clusters = [_move(cluster, strip.top) for cluster in found]
    owned = slice(strip.begin - strip.top, strip.end - strip.top)
    return clusters, search.ink_sum(owned)


def _run(search: Generator[Crops, Readings, Found], classify: Classify) -> Found:
    try:
        request = next(search)
        while True:
            request = search.send(classify([request]))
    except StopIteration as finished:
        found: Found = finished.value
        return found


def _owns(strip: Strip, cluster: Cluster) -> bool:
    return strip.begin <= min(box[1] for box in cluster.boxes) < strip.end


def _whole_or_cut(strip: Strip, owned: list[Cluster], height: int) -> Strip:
    """Returns the strip, marked as cut if it does not hold all near pairs of what it owns."""
    lowest = max((box[3] for cluster in owned for box in cluster.boxes), default=0)
    return strip._replace(is_cut=strip.is_cut or strip.bottom < min(lowest + 1, height))


def _move(cluster: Cluster, y: int) -> Cluster:
    """Moves a cluster down by y px."""
    moved = [
        candidate._replace(
            box=_move_box(candidate.box, y), centre=(candidate.centre[0], candidate.centre[1] + y)
        )
        for candidate in cluster.candidates
    ]
    return Cluster(cluster.ink_px, moved, tuple(_move_box(box, y) for box in cluster.boxes))


def _move_box(box: Box, y: int) -> Box:
    return box[0], box[1] + y, box[2], box[3] + y


def _needed_bottom(
    ink: UInt8[np.ndarray, "n w"], top: int, begin: int, end: int, threshold: float, height: int
) -> int:
    """Returns the row to which a strip has to reach so that all that it owns is whole."""
    y, heights = _rows_of_components(ink, threshold)
    # What begins a little below may pair with what is owned, as strokes of one digit.
    is_owned = (y >= begin - top) & (y < end - top + REACH_PX)
    lowest = int((y + heights)[is_owned].max(initial=0)) + top
    return min(lowest + REACH_PX, height)


def _rows_of_components(
    ink: UInt8[np.ndarray, "n w"], threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first row and the height of each component."""
    mask = (ink > threshold * 255).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        mask, connectivity=EIGHT_CONNECTED, ltype=cv2.CV_32S
    )
    return stats[1:, cv2.CC_STAT_TOP], stats[1:, cv2.CC_STAT_HEIGHT]


def _read(image: InkRows, strip: Strip, threshold: float) -> UInt8[np.ndarray, "n w"]:
    """Reads the rows of a strip, without the ink of what is searched in parts outside its own."""
    ink = image.read(strip.top, strip.bottom)
    if not strip.is_cut and strip.cut_above is None:
        return ink
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (ink > threshold * 255).astype(np.uint8), connectivity=EIGHT_CONNECTED, ltype=cv2.CV_32S
    )
    first = stats[:, cv2.CC_STAT_TOP]
    last = first + stats[:, cv2.CC_STAT_HEIGHT]
    begin, end = strip.begin - strip.top, strip.end - strip.top
    is_cut = np.zeros(len(stats), bool)
    if strip.is_cut:
        is_cut |= (first < end) & (last >= len(ink))
    if strip.cut_above is not None:
        is_cut |= (first < begin) & (last > min(strip.cut_above - strip.top, len(ink) - 1))
    is_cut[0] = False  # the background
    ink = ink.copy()
    for outside in (slice(0, begin), slice(end, len(ink))):
        ink[outside][is_cut[labels[outside]]] = 0
    return ink
