"""Named regions of a page, such as the fields of a form, from a JSON file."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from digits_jax.runtime.errors import ArgumentError

UNIT_KEY, UNITS = "unit", ("px", "share")
MAX_FILE_BYTES = 2**24
EXAMPLE = '{"unit": "px", "date": [10, 20, 200, 60]}'

RegionBox = tuple[int | float, int | float, int | float, int | float]


class Regions(NamedTuple):
    """Boxes with names: x0, y0, x1, y1."""

    boxes: dict[str, RegionBox]
    are_shares: bool  # of the page's width and height; px if not

    def on_page(self, shape: tuple[int, int]) -> dict[str, RegionBox]:
        """Returns the boxes in px of a page of this height and width."""
        height, width = shape if self.are_shares else (1, 1)
        return {
            name: (x0 * width, y0 * height, x1 * width, y1 * height)
            for name, (x0, y0, x1, y1) in self.boxes.items()
        }

    def outside(self, shape: tuple[int, int]) -> list[str]:
        """Returns the names of the regions that lie outside a page of this height and width."""
        height, width = shape
        boxes = self.on_page(shape).items()
        return [name for name, (x0, y0, _, _) in boxes if x0 >= width or y0 >= height]


def read_regions(path: Path) -> Regions:
    """Reads a file of regions: one JSON object of names and boxes, and of their "unit".

    Raises:
      ArgumentError: the file cannot be read, or is not of this form.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ArgumentError(f"{path}: expected at most 16 MiB of regions; got more")
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise ArgumentError(
            f"expected a JSON file of regions, such as {EXAMPLE}; {path} cannot be read: "
            f"{error.strerror}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArgumentError(
            f"{path}: expected a JSON object of regions, such as {EXAMPLE}; got what is no JSON: "
            f"{error}"
        ) from error
    if not isinstance(pairs, _Pairs):
        raise ArgumentError(f"{path}: expected an object such as {EXAMPLE}; got {str(pairs)[:60]}")
    names = [name for name, _ in pairs]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ArgumentError(f"{path}: expected each name once; got {repeated[0]!r} again")
    unit = next((value for name, value in pairs if name == UNIT_KEY), UNITS[0])
    if unit not in UNITS:
        raise ArgumentError(f'{path}: expected "unit" to be "px" or "share"; got {str(unit)[:60]}')
    boxes = {
        name: _check_box(path, name, value, unit == "share")
        for name, value in pairs
        if name != UNIT_KEY
    }
    if not boxes:
        raise ArgumentError(f"{path}: expected at least one region, such as {EXAMPLE}; got none")
    return Regions(boxes, unit == "share")


def boxes_inside(box: RegionBox, boxes_xyxy: Num[np.ndarray, "n 4"]) -> list[int]:
    """Returns which boxes have their middles in a region."""
    x0, y0, x1, y1 = box
    x, y = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]).T / 2
    return np.flatnonzero((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)).tolist()


class _Pairs(list[tuple[str, Any]]):
    """The names and values of a JSON object, in which a name may be repeated."""


def _check_box(path: Path, name: str, value: Any, are_shares: bool) -> RegionBox:
    box = value if isinstance(value, list) and not isinstance(value, _Pairs) else []
    numbers = [n for n in box if isinstance(n, int | float) and not isinstance(n, bool)]
    # The comparison comes first: math.isfinite of very long integers fails.
    is_box = len(box) == len(numbers) == 4 and all(0 <= n <= 1e9 for n in numbers)
    is_box = is_box and all(map(math.isfinite, numbers))
    if not is_box or box[0] >= box[2] or box[1] >= box[3]:
        raise ArgumentError(
            f"{path}: expected [x0, y0, x1, y1] of {name!r} with 0 ≤ x0 < x1 and 0 ≤ y0 < y1; got "
            f"{str(value)[:60]}"
        )
    if are_shares and max(box) > 1:
        raise ArgumentError(
            f"{path}: expected shares of the page of {name!r}, at most 1; got {box}; for pixels, "
            'give "unit": "px"'
        )
    return box[0], box[1], box[2], box[3]
