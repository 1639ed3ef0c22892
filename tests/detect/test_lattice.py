"""Lattices of forms: drawn ones of known cells, tilted, broken, and pages without one."""

import math

import cv2
import numpy as np
import pytest

from digits_jax.detect.lattice import Lattice, find_lattice

NO_DIGITS = np.zeros((0, 4), int)


def draw_lattice(
    columns: list[int], rows: list[int], *, thickness: int = 2, shape: tuple[int, int] = (400, 400)
) -> np.ndarray:
    """Returns ink with lines at these x and y, px."""
    ink = np.zeros(shape, np.uint8)
    for x in columns:
        ink[rows[0] : rows[-1] + thickness, x : x + thickness] = 255
    for y in rows:
        ink[y : y + thickness, columns[0] : columns[-1] + thickness] = 255
    return ink


def found(ink: np.ndarray, digit_boxes: np.ndarray = NO_DIGITS, **options: int) -> Lattice:
    lattice = find_lattice(ink, 0.18, digit_boxes, **options)
    assert lattice is not None
    return lattice


def size(lattice: Lattice) -> tuple[int, int]:
    return lattice.rows, lattice.columns


def test_the_cells_of_a_lattice_are_what_its_lines_enclose() -> None:
    """Lines 2 px thick at 20, 60, 130 across and at 30, 80, 120, 160 down."""
    lattice = found(draw_lattice([20, 60, 130], [30, 80, 120, 160]))
    assert size(lattice) == (3, 2)
    np.testing.assert_allclose(lattice.rects[0, 0], [41, 56, 38, 48, 0], atol=0.01)
    np.testing.assert_allclose(lattice.rects[2, 1], [96, 141, 68, 38, 0], atol=0.01)
    assert lattice.box == (22, 32, 130, 160)
    boxes = np.array([[30, 40, 50, 70], [90, 130, 110, 150], [95, 130, 99, 150], [0, 0, 9, 9]])
    cells = lattice.in_cells(boxes)
    assert cells == [[[0], []], [[], []], [[], [1, 2]]]


@pytest.mark.parametrize("degrees", [-4.0, -1.5, 3.0])
@pytest.mark.parametrize("scale", [1, 3])
def test_a_lattice_may_tilt(degrees: float, scale: int) -> None:
    """A sudoku, and each cell's middle turned with it."""
    lines = [50 + 32 * k for k in range(10)]
    upright = draw_lattice(lines, lines)
    turn = cv2.getRotationMatrix2D((199.5 * scale, 199.5 * scale), -degrees, 1)
    large = cv2.resize(upright, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lattice = found(cv2.warpAffine(large, turn, large.shape[::-1]))
    assert size(lattice) == (9, 9)
    for row, column in [(0, 0), (4, 7), (8, 8)]:
        middle = np.array([51 + 32 * column + 15, 51 + 32 * row + 15, 1 / scale]) * scale
        np.testing.assert_allclose(lattice.rects[row, column, :2], turn @ middle, atol=2 * scale)
    assert scale == 1 or math.degrees(lattice.rects[0, 0, 4]) == pytest.approx(degrees, abs=1)


def test_a_comb_of_separate_boxes_is_one_row() -> None:
    ink = np.zeros((100, 400), np.uint8)
    for k in range(6):
        cv2.rectangle(ink, (20 + 50 * k, 30), (60 + 50 * k, 80), 255, 2)
    assert size(found(ink)) == (1, 6)


def test_digits_that_touch_lines_and_breaks_of_lines_change_nothing() -> None:
    lines = [20 + 40 * k for k in range(6)]
    ink = draw_lattice(lines, lines)
    cv2.line(ink, (25, 10), (50, 90), 255, 4)  # slants over three cells
    cv2.ellipse(ink, (120, 120), (30, 17), 0, 0, 360, 255, 3)  # round, over two
    ink[60:63, 70:76] = 0  # a break of 6 px
    assert size(found(ink)) == (5, 5)


def test_short_breaks_of_a_line_are_closed() -> None:
    """6 px of the 58 px between two cells."""
    ink = draw_lattice([20, 80, 140], [30, 90])
    ink[57:63, 80:82] = 0
    assert size(found(ink)) == (1, 2)


def test_a_missing_cell_is_estimated_from_its_row_and_column() -> None:
    lines = [20 + 40 * k for k in range(6)]
    ink = draw_lattice(lines, lines)
    ink[60:62, 62:100] = 0  # two cells become one
    lattice = found(ink)
    assert size(lattice) == (5, 5)
    np.testing.assert_allclose(lattice.rects[1, 1], [81, 81, 38, 38, 0], atol=0.01)


def test_a_frame_alone_is_a_lattice_if_one_cell_is_enough_and_cells_are_divided_evenly() -> None:
    ink = draw_lattice([20, 112], [30, 72])
    assert find_lattice(ink, 0.18, NO_DIGITS) is None
    frame = found(ink, min_cells=1)
    assert size(frame) == (1, 1)
    comb = frame.divided(2, 3)
    np.testing.assert_allclose(comb.rects[0, 0], [37, 42, 30, 20, 0], atol=0.01)
    np.testing.assert_allclose(comb.rects[1, 2], [97, 62, 30, 20, 0], atol=0.01)


@pytest.mark.parametrize("kind", ["blank", "ruled", "digits", "strokes", "tiny"])
def test_other_pages_have_no_lattice(kind: str) -> None:
    ink = np.zeros((300, 400), np.uint8)
    boxes = NO_DIGITS
    if kind == "ruled":
        ink[40::40] = 255
    elif kind == "digits":  # 0s of straight strokes are no cells
        boxes = np.array([[50, 50, 90, 120], [100, 50, 140, 120]])
        for x0, y0, x1, y1 in boxes.tolist():
            cv2.rectangle(ink, (x0 + 1, y0 + 1), (x1 - 2, y1 - 2), 255, 3)
    elif kind == "strokes":
        for x in range(50, 350, 30):
            cv2.line(ink, (x, 50), (x + 5, 150), 255, 4)
    elif kind == "tiny":
        ink = np.full((3, 3), 255, np.uint8)
    assert find_lattice(ink, 0.18, boxes) is None
