"""Rulings: lines vanish, and what stands on them or crosses them stays."""

import numpy as np
import pytest
from clear_digits import ClearDigits

from digits_jax.detect.components import split_mask
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.rulings import erase_rulings

CONFIG = DEFAULT_CONFIG.rulings
MIN_SIDE = 6.0  # px of pieces that are looked at


def pieces_of(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Returns the boxes of the pieces into which a mask falls without its rulings."""
    without = erase_rulings(mask, CONFIG)
    assert without is not None
    assert not (without & ~mask).any()
    ink = np.where(mask, 255, 0).astype(np.uint8)
    return [part.box for part in split_mask(ink, without, (0, 0), MIN_SIDE)]


def line(
    height: int = 140, width: int = 400, *, thickness: int = 3, slope: float = 0
) -> np.ndarray:
    """Returns a line across an image of 140×400 px, at 0.7 of its height."""
    height, width = 140, 400
    y, x = np.mgrid[:height, :width]
    return np.abs(y - round(0.7 * height) - slope * (x - width / 2)) < thickness / 2


def digit_masks(clear_digits: ClearDigits, side: int) -> list[np.ndarray]:
    digits = [clear_digits.of_sides([side], label=label)[0] for label in range(10)]
    return [digit.ink > DEFAULT_CONFIG.components.ink_threshold * 255 for digit in digits]


@pytest.mark.parametrize(
    ("thickness", "slope"), [(1, 0.0), (2, 0.0), (2, 0.02), (4, 0.0), (4, 0.02)]
)
@pytest.mark.parametrize("below", [0.0, 0.3])
def test_a_digit_that_stands_on_a_line_or_crosses_it_stays(
    thickness: int, slope: float, below: float, clear_digits: ClearDigits
) -> None:
    """Digits of 60 px, with none or 0.3 of their height below the line."""
    for digit in digit_masks(clear_digits, 60):
        height, width = digit.shape
        mask = line(thickness=thickness, slope=slope)
        top, left = round(99 - height * (1 - below)), 170
        place = np.s_[top : top + height, left : left + width]
        mask[place] |= digit
        without = erase_rulings(mask, CONFIG)
        assert without is not None
        assert not (without & ~mask).any()
        apart = digit & ~line(thickness=thickness + 2, slope=slope)[place]
        assert without[place][apart].mean() > 0.98
        without[:, left : left + width] = False
        assert not without.any()


def test_lines_of_a_grid_vanish() -> None:
    """Squared paper, a table, and the nine rows of a sudoku."""
    for pitch, lines in ((20, 16), (60, 6), (33, 10)):
        side = pitch * (lines - 1) + 2
        grid = np.zeros((side, side), bool)
        for k in range(lines):
            grid[pitch * k : pitch * k + 2] = grid[:, pitch * k : pitch * k + 2] = True
        assert pieces_of(grid) == []


def test_digits_that_touch_the_lines_of_a_grid_fall_out_of_it(clear_digits: ClearDigits) -> None:
    """Each covers two pixels of the line on its left."""
    grid = np.zeros((200, 300), bool)
    grid[[0, 1, 98, 99, 198, 199]] = True
    for k in range(4):
        grid[:, min(98 * k, 298) : 98 * k + 2] = True
    boxes = []
    for k, digit in enumerate(digit_masks(clear_digits, 60)[:3]):
        height, width = digit.shape
        top, left = 20, 98 * k
        grid[top : top + height, left : left + width] |= digit
        boxes.append((left, top, left + width, top + height))
    pieces = pieces_of(grid)
    assert len(pieces) == 3
    assert np.abs(np.array(sorted(pieces)) - boxes).max() <= 4


def test_ink_without_long_lines_has_no_rulings(clear_digits: ClearDigits) -> None:
    assert erase_rulings(np.zeros((50, 50), bool), CONFIG) is None
    assert erase_rulings(np.ones((50, 50), bool), CONFIG) is None
    for digit in digit_masks(clear_digits, round(CONFIG.min_length_px) - 1):
        assert erase_rulings(digit, CONFIG) is None


def test_a_ruling_is_eight_times_as_long_as_it_is_thick() -> None:
    for thickness, is_ruling in ((10, True), (13, False)):
        bar = np.zeros((60, 100), bool)
        bar[20 : 20 + thickness] = True
        assert (erase_rulings(bar, CONFIG) is not None) == is_ruling


def test_columns_are_treated_like_rows(clear_digits: ClearDigits) -> None:
    mask = line()
    digit = digit_masks(clear_digits, 60)[5]
    mask[60 : 60 + digit.shape[0], 200 : 200 + digit.shape[1]] |= digit
    turned = erase_rulings(mask.T, CONFIG)
    assert turned is not None
    np.testing.assert_array_equal(turned.T, erase_rulings(mask, CONFIG))


def test_long_runs_inside_blobs_of_ink_are_no_rulings() -> None:
    """A block is crossed everywhere, and so is a column of touching digits."""
    block = np.zeros((140, 60), bool)
    block[10:130, 10:50] = True
    column = np.zeros((140, 60), bool)
    column[5:135, 25:30] = True
    for top in range(5, 125, 15):
        column[top : top + 10, 5:55] = True
    for mask in (block, column):
        without = erase_rulings(mask, CONFIG)
        assert without is None or np.array_equal(without, mask)
