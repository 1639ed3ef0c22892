"""The lattice of a form: the cells of a comb of boxes, of a table, or of a sudoku.

Rulings are found as in `rulings.py`: long runs of ink along the rows and along the columns of
pixels. A cell is what they enclose. So cells need not be equal, lines may tilt by a few degrees,
and neither digits nor what crosses a line divides a cell. Cells beside each other form a lattice;
their rows and columns are counted from neighbour to neighbour.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Num, UInt8

from digits_jax.detect.components import Box

MAX_TILT_DEG = 5.0  # of lines
RUN_LENGTHS_PX = (20, 40, 80, 160, 320)  # of rulings; cells are at least as long on one side
MAX_RUN_GAP = 0.5  # of the run length: wider breaks of a line stay open
MIN_SLIMNESS = 4.0  # of a ruling, or of two beside each other: length ÷ thickness
MIN_CELL_PX = 10  # the shorter side
MIN_FILL = 0.7  # of a cell's rectangle is inside it
MAX_GAP = 0.8  # between neighbours, of the smaller cell's side across the gap: boxes of a comb
MIN_SHARED = 0.6  # of the longer side that two neighbours share
MIN_FOUND = 0.8  # of the cells of a lattice
MAX_SIDE_RATIO = 1.5  # of a cell's side to the median of its row or column
MIN_GROWTH = 1.25  # a lattice takes the place of another one that is smaller by this factor

Rects = Float[np.ndarray, "*shape 5"]  # x and y of the middle, width, height in px; radians


class Lattice(NamedTuple):
    """The cells of a form in rows and columns."""

    rects: Float[np.ndarray, "rows columns 5"]  # `Rects`; of cells that were not found, estimated

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.rects.shape[0]

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.rects.shape[1]

    @property
    def box(self) -> Box:
        """The box around all cells, px."""
        corners = np.concatenate([_corner(self.rects, x, y) for x in (-1, 1) for y in (-1, 1)])
        x0, y0 = np.floor(corners.min(axis=0)).astype(int).tolist()
        x1, y1 = np.ceil(corners.max(axis=0)).astype(int).tolist()
        return x0, y0, x1, y1

    def in_cells(self, boxes_xyxy: Num[np.ndarray, "n 4"]) -> list[list[list[int]]]:
        """Returns for each cell which boxes have their middles in it."""
        middles = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        found: list[list[list[int]]] = [[[] for _ in range(self.columns)] for _ in range(self.rows)]
        for k, middle in enumerate(middles):
            offsets = middle - self.rects[..., :2]
            cos, sin = np.cos(self.rects[..., 4]), np.sin(self.rects[..., 4])
            across = np.abs(offsets[..., 0] * cos + offsets[..., 1] * sin) / self.rects[..., 2]
            down = np.abs(offsets[..., 1] * cos - offsets[..., 0] * sin) / self.rects[..., 3]
            off = np.maximum(across, down)
            row, column = np.unravel_index(off.argmin(), off.shape)
            if off[row, column] <= 0.5:
                found[int(row)][int(column)].append(k)
        return found

    def divided(self, rows: int, columns: int) -> "Lattice":
        """Returns the lattice with its cells divided evenly, so that it has these many.

        Args:
          rows: a multiple of the rows that there are.
          columns: a multiple of the columns that there are.
        """
        down, across = rows // self.rows, columns // self.columns
        parts = np.repeat(np.repeat(self.rects, down, axis=0), across, axis=1)
        y, x = np.mgrid[:rows, :columns]
        right = ((x % across + 0.5) / across - 0.5) * parts[..., 2]
        below = ((y % down + 0.5) / down - 0.5) * parts[..., 3]
        cos, sin = np.cos(parts[..., 4]), np.sin(parts[..., 4])
        parts[..., 0] += right * cos - below * sin
        parts[..., 1] += right * sin + below * cos
        parts[..., 2:4] /= [across, down]
        return Lattice(parts)


def find_lattice(
    ink: UInt8[np.ndarray, "H W"],
    threshold: float,
    digit_boxes: Num[np.ndarray, "n 4"],
    *,
    min_cells: int = 2,
) -> Lattice | None:
    """Returns the lattice of a page with the largest area, or None if there is none.

    Args:
      ink: the page, ink bright.
      threshold: pixels brighter than this share of 255 are ink, 0–1.
      digit_boxes: the digits', px: a loop of one is no cell.
      min_cells: the fewest cells; 1 takes a lone frame for a lattice.
    """
    mask = (ink > threshold * 255).astype(np.uint8)
    best, largest = None, 0.0  # px²
    for length in RUN_LENGTHS_PX:  # the shorter, the more exact are the cells
        if length > max(mask.shape):
            break
        for lattice in _lattices(_find_cells(mask, length, digit_boxes)):
            has_enough = lattice.rows * lattice.columns >= min_cells
            if has_enough and _area(lattice) > largest:
                best, largest = lattice, MIN_GROWTH * _area(lattice)
    return best


def _area(lattice: Lattice) -> int:
    x0, y0, x1, y1 = lattice.box
    return (x1 - x0) * (y1 - y0)


def _find_cells(
    mask: UInt8[np.ndarray, "H W"], length: int, digit_boxes: Num[np.ndarray, "n 4"]
) -> Float[np.ndarray, "k 5"]:
    """Returns the rectangles that rulings of at least this length in px enclose."""
    spread = round(length * np.tan(np.radians(MAX_TILT_DEG)) / 2)
    lines = _runs(mask, length, spread) | _runs(mask.T, length, spread).T
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (~lines).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    left, top, width, height, area = stats.T
    right, bottom = left + width, top + height
    is_inside = (left > 0) & (top > 0) & (right < mask.shape[1]) & (bottom < mask.shape[0])
    is_cell = is_inside & (np.minimum(width, height) >= MIN_CELL_PX)
    is_cell &= area >= MIN_FILL / 2 * width * height
    is_cell[0] = False  # the rulings
    for x0, y0, x1, y1 in digit_boxes.tolist():
        is_cell &= ~((left >= x0) & (top >= y0) & (right <= x1) & (bottom <= y1))
    rects = []
    for k in np.flatnonzero(is_cell).tolist():
        own = labels[top[k] : bottom[k], left[k] : right[k]] == k
        (x, y), (wide, high), degrees = cv2.minAreaRect(np.argwhere(own)[:, ::-1].astype(np.int32))
        if abs(degrees) > 45:  # which side OpenCV calls the width depends on its version
            wide, high, degrees = high, wide, degrees - np.copysign(90, degrees)
        wide, high = wide + 1, high + 1  # from the outer edges of pixels
        if area[k] >= MIN_FILL * wide * high:
            grown = wide + 2 * spread, high + 2 * spread
            rects.append((x + left[k] + 0.5, y + top[k] + 0.5, *grown, np.radians(degrees)))
    return np.array(rects, float).reshape(-1, 5)


def _runs(mask: UInt8[np.ndarray, "h w"], length: int, spread: int) -> Bool[np.ndarray, "h w"]:
    """Returns the rulings along rows, `spread` px thicker on both sides, so that they may tilt."""
    thick = cv2.dilate(mask, np.ones((2 * spread + 1, 1), np.uint8))
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8, ltype=cv2.CV_32S)
    extent = stats[:, cv2.CC_STAT_WIDTH]
    thickness = np.maximum(stats[:, cv2.CC_STAT_AREA] / np.maximum(extent, 1) - 2 * spread, 1)
    is_ruling = extent >= MIN_SLIMNESS * thickness
    is_ruling[0] = False
    rulings = is_ruling[labels].astype(np.uint8)
    gap = np.ones((1, round(MAX_RUN_GAP * length)), np.uint8)
    return cv2.morphologyEx(rulings, cv2.MORPH_CLOSE, gap) > 0


def _lattices(rects: Float[np.ndarray, "n 5"]) -> list[Lattice]:
    """Returns the lattices that cells form; each cell is of one at most."""
    if not len(rects):
        return []
    tilt = float(np.median(rects[:, 4]))
    cos, sin = np.cos(tilt), np.sin(tilt)
    upright = rects[:, :2] @ np.array([[cos, -sin], [sin, cos]])
    low, high = upright - rects[:, 2:4] / 2, upright + rects[:, 2:4] / 2
    steps: list[list[tuple[int, int, int]]] = [[] for _ in rects]  # neighbour, columns, rows
    for axis in (0, 1):
        for k, after in enumerate(_next_cells(low, high, axis)):
            if after is not None:
                steps[k].append((after, 1 - axis, axis))
                steps[after].append((k, axis - 1, -axis))
    found, seen = [], set[int]()
    for k in range(len(rects)):
        if k in seen:
            continue
        places = _places(steps, k)
        seen |= set(places)
        if (lattice := _to_lattice(places, rects, low, high, tilt)) is not None:
            found.append(lattice)
    return found


def _next_cells(
    low: Float[np.ndarray, "n 2"], high: Float[np.ndarray, "n 2"], axis: int
) -> list[int | None]:
    """Returns the next cell of each one along an axis, or None."""
    sides, other = high - low, 1 - axis
    found: list[int | None] = []
    for k in range(len(low)):
        gap = low[:, axis] - high[k, axis]
        smaller = np.minimum(sides[:, axis], sides[k, axis])
        shared = np.minimum(high[:, other], high[k, other])
        shared -= np.maximum(low[:, other], low[k, other])
        longer = np.maximum(sides[:, other], sides[k, other])
        near = (gap > -smaller / 2) & (gap <= MAX_GAP * smaller) & (shared >= MIN_SHARED * longer)
        near[k] = False
        indices = np.flatnonzero(near)
        found.append(int(indices[gap[indices].argmin()]) if len(indices) else None)
    return found


def _places(
    steps: Sequence[Sequence[tuple[int, int, int]]], first: int
) -> dict[int, tuple[int, int]]:
    """Returns column and row of all cells that are reached from one, relative to it."""
    places, pending = {first: (0, 0)}, deque([first])
    while pending:
        k = pending.popleft()
        for other, right, down in steps[k]:
            if other not in places:
                places[other] = places[k][0] + right, places[k][1] + down
                pending.append(other)
    return places


def _to_lattice(
    places: dict[int, tuple[int, int]],
    rects: Float[np.ndarray, "n 5"],
    low: Float[np.ndarray, "n 2"],
    high: Float[np.ndarray, "n 2"],
    tilt: float,
) -> Lattice | None:
    """Returns cells as a lattice, or None if two have one place, or too many places have none."""
    own = np.array(list(places))
    at = np.array(list(places.values()))
    at -= at.min(axis=0)
    columns, rows = (at.max(axis=0) + 1).tolist()
    if len(np.unique(at, axis=0)) < len(at) or len(at) < MIN_FOUND * rows * columns:
        return None
    edges = np.zeros((rows, columns, 4))
    for number in range(columns):
        of_column = own[at[:, 0] == number]
        edges[:, number, 0] = np.median(low[of_column, 0])
        edges[:, number, 2] = np.median(high[of_column, 0])
    for number in range(rows):
        of_row = own[at[:, 1] == number]
        edges[number, :, 1] = np.median(low[of_row, 1])
        edges[number, :, 3] = np.median(high[of_row, 1])
    middles = (edges[..., :2] + edges[..., 2:]) / 2
    cos, sin = np.cos(tilt), np.sin(tilt)
    grid = np.empty((rows, columns, 5))
    grid[..., :2] = middles @ np.array([[cos, sin], [-sin, cos]])
    grid[..., 2:4] = edges[..., 2:] - edges[..., :2]
    grid[..., 4] = tilt
    # A cell much larger or smaller than its row and column is several, or a part of one.
    ratio = (high - low)[own] / grid[at[:, 1], at[:, 0], 2:4]
    fits = (np.maximum(ratio, 1 / ratio) <= MAX_SIDE_RATIO).all(axis=1)
    grid[at[fits, 1], at[fits, 0]] = rects[own[fits]]
    return Lattice(grid)


def _corner(rects: Rects, x: int, y: int) -> Float[np.ndarray, "n 2"]:
    """Returns one corner of each rectangle; x and y are −1 or 1."""
    centre_x, centre_y, width, height, angle = rects.reshape(-1, 5).T
    cos, sin = np.cos(angle), np.sin(angle)
    right, down = x * width / 2, y * height / 2
    return np.stack([centre_x + right * cos - down * sin, centre_y + right * sin + down * cos], 1)
