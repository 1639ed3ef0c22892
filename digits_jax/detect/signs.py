"""Signs between the digits of a line: minus, point, comma, slash and colon, by their geometry.

The network knows digits alone. What else is ink between two digits of a line, or before the first,
is told by its size and its place relative to them: a minus is a level stroke at their middle, a
slash is longer than they are and leans to the right (`punctuation.py`), a point and a comma lie at
their feet, and a colon is two points one above the other. All other ink is passed over.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Int, Num, UInt8

from digits_jax.detect.components import EIGHT_CONNECTED, Box, split_mask
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.punctuation import Extent, is_low, is_slash
from digits_jax.detect.reading_order import box_centres, box_heights, rotate
from digits_jax.detect.rulings import erase_rulings
from digits_jax.detect.steps import PunctuationConfig

NEIGHBOURS = 2  # digits on each side that tell how high a line is and where it stands
# All lengths below are shares of the height of the digits around.
MAX_HEIGHT, MAX_WIDTH = 2.0, 1.3  # of a sign; larger ink is a drawing, a frame or a ruling
MIN_STRENGTH = 0.5  # of the digits' mean grey value: fainter ink is dirt
MINUS_WIDTH = (0.24, 1.2)  # shortest and longest
MINUS_HEIGHT = 0.3
MINUS_ASPECT = 1.5  # a minus is at least this many times as wide as high
MINUS_MIDDLE = (0.18, 0.82)  # its middle lies between these heights below the digits' top
POINT_SIDE = (0.06, 0.36)  # of the longer side of a point
POINT_MIDDLE = 0.7  # a point's middle lies at least this far below the digits' top
COMMA_WIDTH = 0.4
COMMA_ASPECT = 1.5  # a comma is at least this many times as high as wide, or ...
COMMA_DEPTH = 0.15  # ... reaches this far below the digits
COLON_MIDDLE = (0.0, 0.6)  # of the upper point, below the digits' top
COLON_RISE = 0.25  # the least distance between its points' middles
COLON_SLANT = 0.25  # the largest distance along the line between them
BESIDE_HEIGHT = 0.35  # of the largest component in a digit's box: lower ink beside it is a sign
CRUMB_REACH, MAX_CRUMB = (
    0.1,
    0.75,
)  # ink of which more lies this near to an erased ruling is its crumb
MIN_SIDE_PX = 2.0  # of ink that may be a sign


class Mark(NamedTuple):
    """A component of ink that is no digit, and may be a sign."""

    box: Box
    mask: Bool[np.ndarray, "h w"]

    @property
    def width(self) -> int:
        """The width of its box, px."""
        return self.mask.shape[1]

    @property
    def height(self) -> int:
        """The height of its box, px."""
        return self.mask.shape[0]


class Sign(NamedTuple):
    """A sign of a line."""

    text: str  # one of - . , / :
    box: Box


def find_marks(
    ink: UInt8[np.ndarray, "H W"], boxes_xyxy: Num[np.ndarray, "n 4"], config: DetectorConfig
) -> list[Mark]:
    """Returns the ink of a page that belongs to no digit and is not much larger than digits are.

    Where marks touch the rulings of paper or forms, these are erased.

    Args:
      ink: ink bright on black.
      boxes_xyxy: the digits', px.
      config: the constants of detection: what is ink, and what is a ruling.
    """
    if not len(boxes_xyxy):
        return []
    mask = (ink > config.components.ink_threshold * 255).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask, connectivity=EIGHT_CONNECTED, ltype=cv2.CV_32S
    )
    highest = float(box_heights(boxes_xyxy).max())
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    is_large = (width > MAX_WIDTH * highest) | (height > MAX_HEIGHT * highest)
    is_free = ~_is_of_digits(labels, stats, boxes_xyxy)
    is_free &= np.maximum(width, height) >= MIN_SIDE_PX
    is_free[0] = is_large[0] = False  # the background
    levels = [_mean_level(ink, mask, box) for box in boxes_xyxy.tolist()]
    faintest = MIN_STRENGTH * float(np.median(levels))
    marks = []
    for number in np.flatnonzero(is_free | is_large).tolist():
        left, top, wide, high = stats[number, :4].tolist()
        inside = np.s_[top : top + high, left : left + wide]
        own = labels[inside] == number
        if not is_large[number]:
            marks.append(Mark((left, top, left + wide, top + high), own))
        else:
            marks += _pieces(ink[inside], own, (left, top), boxes_xyxy, highest, config)
    return [mark for mark in marks if _level(ink, mark) >= faintest]


def find_signs(
    marks: Sequence[Mark],
    boxes_xyxy: Num[np.ndarray, "n 4"],
    slope: float,
    config: PunctuationConfig,
) -> list[Sign | None]:
    """Returns the sign before each digit of a line, or None where there is none.

    Args:
      marks: those of the page.
      boxes_xyxy: the digits of one line from left to right, px.
      slope: that of the lines, in radians, as `estimate_slope` returns it.
      config: the constants of slashes and commas.
    """
    if not marks:
        return [None] * len(boxes_xyxy)
    x, y = rotate(box_centres(boxes_xyxy), slope)
    heights = box_heights(boxes_xyxy)
    own_x, own_y = rotate(box_centres(np.array([mark.box for mark in marks])), slope)
    signs: list[Sign | None] = []
    for k in range(len(boxes_xyxy)):
        near = slice(max(k - NEIGHBOURS, 0), k + NEIGHBOURS)
        top = float(np.median((y - heights / 2)[near]))
        bottom = float(np.median((y + heights / 2)[near]))
        height = bottom - top
        left = x[k - 1] if k else x[k] - (MINUS_WIDTH[1] + 1) * height - heights[k]
        between = (own_x > left) & (own_x < x[k])
        between &= (own_y > top - height / 2) & (own_y < bottom + height / 2)
        found = [(marks[i], float(own_y[i])) for i in np.flatnonzero(between).tolist()]
        signs.append(_tell(found, Extent(top, bottom), config))
    return signs


def _tell(
    found: Sequence[tuple[Mark, float]], line: Extent, config: PunctuationConfig
) -> Sign | None:
    """Returns the sign that marks between two digits are.

    Args:
      found: the marks, and how far below the first row of the page they are, along the line.
      line: the rows of the digits around, along the line.
      config: the constants of slashes and commas.
    """
    if line.height <= 0:
        return None
    own = [Extent(y - mark.height / 2, y + mark.height / 2) for mark, y in found]
    marks = [mark for mark, _ in found]
    for mark, extent in zip(marks, own, strict=True):
        if is_slash(mark.mask, extent, line, config):
            return Sign("/", mark.box)
    points = [k for k, mark in enumerate(marks) if _is_point(mark, line)]
    for low in points:
        for high in points:
            if _is_colon(marks[low], own[low], marks[high], own[high], line):
                return Sign(":", _union(marks[low].box, marks[high].box))
    levels = [m for m, extent in zip(marks, own, strict=True) if _is_minus(m, extent, line)]
    if len(levels) == 1:  # two are an equals sign
        return Sign("-", levels[0].box)
    feet = [
        k
        for k, mark in enumerate(marks)
        if is_low(own[k], line, config)
        and _middle(own[k]) >= line.top + POINT_MIDDLE * line.height
        and mark.width <= COMMA_WIDTH * line.height
        and max(mark.mask.shape) >= POINT_SIDE[0] * line.height
    ]
    if not feet:
        return None
    k = max(feet, key=lambda k: int(marks[k].mask.sum()))
    is_long = marks[k].height >= COMMA_ASPECT * marks[k].width
    is_deep = own[k].bottom >= line.bottom + COMMA_DEPTH * line.height
    is_comma = is_long or (is_deep and marks[k].height > marks[k].width)
    if not is_comma and not _is_point(marks[k], line):
        return None
    return Sign("," if is_comma else ".", marks[k].box)


def _is_minus(mark: Mark, own: Extent, line: Extent) -> bool:
    shortest, longest = (share * line.height for share in MINUS_WIDTH)
    first, last = (line.top + share * line.height for share in MINUS_MIDDLE)
    is_level = mark.width >= MINUS_ASPECT * mark.height
    is_flat = mark.height <= MINUS_HEIGHT * line.height
    is_long = shortest <= mark.width <= longest
    return is_level and is_flat and is_long and first <= _middle(own) <= last


def _is_point(mark: Mark, line: Extent) -> bool:
    smallest, largest = (share * line.height for share in POINT_SIDE)
    return smallest <= max(mark.mask.shape) <= largest


def _is_colon(low: Mark, own: Extent, high: Mark, upper: Extent, line: Extent) -> bool:
    first, last = (line.top + share * line.height for share in COLON_MIDDLE)
    apart = abs(low.box[0] + low.box[2] - high.box[0] - high.box[2]) / 2
    return (
        first <= _middle(upper) <= last
        and _middle(own) - _middle(upper) >= COLON_RISE * line.height
        and apart <= COLON_SLANT * line.height
    )


def _middle(extent: Extent) -> float:
    return (extent.top + extent.bottom) / 2


def _union(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _is_of_digits(
    labels: Int[np.ndarray, "H W"], stats: Int[np.ndarray, "k 5"], boxes_xyxy: np.ndarray
) -> Bool[np.ndarray, " k"]:
    """Returns which components belong to digits: most of their pixels lie in digits' boxes.

    Where one component alone fills a box from side to side, small ones in it are free: a comma
    under the bar of a 7. So are small ones beside the largest one, which were read with the digit.
    """
    area = stats[:, cv2.CC_STAT_AREA]
    covered = np.zeros(labels.shape, bool)
    is_loose = np.zeros(len(area), bool)
    for x0, y0, x1, y1 in boxes_xyxy.tolist():
        covered[y0:y1, x0:x1] = True
        numbers, counts = np.unique(labels[y0:y1, x0:x1], return_counts=True)
        inside = numbers[(numbers > 0) & (2 * counts > area[numbers])]
        if len(inside) < 2:
            continue
        largest = inside[area[inside].argmax()]
        others = inside[inside != largest]
        left, top, width, height = stats[largest, :4].tolist()
        fills_box = left <= x0 and top <= y0 and left + width >= x1 and top + height >= y1
        begins, widths, heights = stats[others][:, [0, 2, 3]].T
        is_beside = (begins >= left + width) | (begins + widths <= left)
        is_loose[others] = fills_box | (is_beside & (heights <= BESIDE_HEIGHT * height))
    inside_px = np.bincount(labels[covered], minlength=len(area))
    return np.asarray((2 * inside_px > area) & ~is_loose)


def _pieces(
    ink: UInt8[np.ndarray, "h w"],
    own: Bool[np.ndarray, "h w"],
    origin: tuple[int, int],
    boxes_xyxy: np.ndarray,
    highest: float,
    config: DetectorConfig,
) -> Iterator[Mark]:
    """Yields what stands on rulings, belongs to no digit, and is no crumb of a ruling."""
    without = erase_rulings(own, config.rulings)
    if without is None:
        return
    reach = 2 * max(round(CRUMB_REACH * highest), 2) + 1
    near = cv2.dilate((own & ~without).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    in_boxes = np.zeros_like(without)
    for x0, y0, x1, y1 in (boxes_xyxy - np.array([*origin, *origin])).clip(0).tolist():
        in_boxes[y0:y1, x0:x1] = True
    # What lies mostly in digits' boxes is their own stroke, or left of a ruling through them.
    _, labels = cv2.connectedComponents(without.astype(np.uint8), connectivity=EIGHT_CONNECTED)
    inside_px = np.bincount(labels[in_boxes], minlength=labels.max() + 1)
    is_of_digit = 2 * inside_px > np.bincount(labels.ravel())
    without &= ~is_of_digit[labels] & ~in_boxes
    for piece in split_mask(ink, without, origin, MIN_SIDE_PX):
        height, width = piece.mask.shape
        left, top = piece.box[0] - origin[0], piece.box[1] - origin[1]
        crumbs = np.count_nonzero(near[top:, left:][:height, :width] & piece.mask)
        is_small = width <= MAX_WIDTH * highest and height <= MAX_HEIGHT * highest
        if is_small and crumbs < MAX_CRUMB * np.count_nonzero(piece.mask):
            yield Mark(piece.box, piece.mask)


def _mean_level(ink: np.ndarray, mask: np.ndarray, box: Sequence[int]) -> float:
    x0, y0, x1, y1 = box
    return float(cv2.mean(ink[y0:y1, x0:x1], mask[y0:y1, x0:x1])[0])


def _level(ink: UInt8[np.ndarray, "H W"], mark: Mark) -> float:
    x0, y0, x1, y1 = mark.box
    return float(cv2.mean(ink[y0:y1, x0:x1], mark.mask.astype(np.uint8))[0])
