"""Digits into lines: hand-made ones, and random pages that tilt, bend and jitter."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits_jax.detect.reading_order import estimate_slope, find_lines, read_lines


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float64).reshape(-1, 4)


def row(text: str, x: float, y: float, *, height: float = 20, pitch: float = 16) -> np.ndarray:
    """Returns boxes 12 px wide (4 px for a 1), one every 16 px; a space has no box."""
    middles = [(x + pitch * k, 2 if digit == "1" else 6) for k, digit in enumerate(text)]
    spots = [spot for spot, digit in zip(middles, text, strict=True) if digit != " "]
    return boxes(*((m - half, y, m + half, y + height) for m, half in spots))


def read(*rows: tuple[str, np.ndarray]) -> list[str]:
    labels = [int(digit) for text, _ in rows for digit in text.replace(" ", "")]
    return read_lines(np.concatenate([of_row for _, of_row in rows]), np.array(labels))


def test_two_lines_are_read_from_top_to_bottom_in_any_order_of_the_boxes() -> None:
    """The lower line is given first, also with boxes of whole pixels, as in detections."""
    lower, upper = row("23", 30, 40), row("4071", 10, 5)
    assert read(("23", lower), ("4071", upper)) == ["4071", "23"]
    whole = np.concatenate([lower, upper]).astype(np.int64)
    assert read_lines(whole, np.array([2, 3, 4, 0, 7, 1])) == ["4071", "23"]
    assert find_lines(whole) == [[2, 3, 4, 5], [0, 1]]


def test_no_digits_are_no_lines_and_one_digit_is_one_line() -> None:
    assert read_lines(np.zeros((0, 4), np.int64), np.zeros(0, np.int64)) == []
    assert find_lines(np.zeros((0, 4))) == []
    assert read(("8", row("8", 10, 5))) == ["8"]


@pytest.mark.parametrize(("gap", "text"), [(19, "47"), (21, "4 7")])
def test_a_gap_wider_than_the_digits_height_is_a_space(gap: int, text: str) -> None:
    pair = boxes((0, 0, 12, 20), (12 + gap, 0, 24 + gap, 20))
    assert read_lines(pair, np.array([4, 7])) == [text]


def test_narrow_digits_are_not_separated_by_spaces() -> None:
    assert read(("1111", row("1111", 10, 5))) == ["1111"]


def test_a_table_is_read_row_by_row() -> None:
    """The table has three rows, and one of its cells is empty."""
    rows = [("12   345", 10), ("7     89", 40), ("      61", 70)]
    table = [(text, row(text, 10, y)) for text, y in rows]
    assert read(*table) == ["12 345", "7 89", "61"]


def test_a_column_of_digits_is_as_many_lines() -> None:
    assert read(*(("3", row("3", 10, y)) for y in (0, 25, 50, 75))) == ["3"] * 4


def test_digits_of_different_sizes_on_one_line_are_read_together() -> None:
    """On one baseline: 40, 20 and 30 px high."""
    mixed = boxes((0, 0, 20, 40), (25, 20, 37, 40), (42, 10, 60, 40))
    assert read_lines(mixed, np.array([1, 2, 3])) == ["123"]


def test_digits_that_alternate_in_height_are_one_line() -> None:
    """They alternate by 12 of their 20 px. Digits 24 px below are another line."""
    waves = np.concatenate([row("4 7 ", 10, 5), row(" 0 1", 10, 17)])
    assert read_lines(waves, np.array([4, 7, 0, 1])) == ["4071"]
    assert read(("4071", row("4071", 10, 5)), ("23", row("23", 10, 29))) == ["4071", "23"]


@pytest.mark.parametrize("degrees", [-20, -10, 10, 20])
def test_steep_lines_with_a_space_after_the_first_digit_are_read(degrees: float) -> None:
    line = row("4  071", 100, 100)
    steep = turned(line, degrees)
    below = turned(row("4  071", 100, 130), degrees)
    assert read(("4071", steep), ("4071", below)) == ["4 071", "4 071"]


def turned(upright: np.ndarray, degrees: float) -> np.ndarray:
    """Returns boxes of the same size around centres that are rotated about the origin."""
    centres, sizes = (upright[:, :2] + upright[:, 2:]) / 2, upright[:, 2:] - upright[:, :2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centres = centres @ np.array([[cos, sin], [-sin, cos]])
    return np.hstack([centres - sizes / 2, centres + sizes / 2])


def slope_of(*points: tuple[float, float]) -> float:
    """Returns the estimated slope, in degrees, of digits 1 px high at these places."""
    return math.degrees(estimate_slope(np.array(points, np.float64), np.ones(len(points))))


@pytest.mark.parametrize("degrees", [-12.6, -7.4, 0.4, 7.4, 7.6])
def test_the_slope_is_the_nearest_whole_degree(degrees: float) -> None:
    along = np.arange(5)[:, None] * [
        math.cos(math.radians(degrees)),
        math.sin(math.radians(degrees)),
    ]
    assert slope_of(*along.tolist()) == pytest.approx(round(degrees))


@pytest.mark.parametrize(("degrees", "expected"), [(11, 11), (14, 0)])
def test_near_neighbours_count_more_in_the_slope_than_distant_ones(
    degrees: float, expected: float
) -> None:
    """A level pair 1 height apart, with weight 1/2, against one on a slope 4 apart, with 1/5.

    Up to 12.4° the level pair's loss is less than the other's gain: exp(−(sin a / 0.3)²) > 0.6.
    """
    x, y = 4 * math.cos(math.radians(degrees)), 4 * math.sin(math.radians(degrees))
    slope = slope_of((0, 0), (1, 0), (100, 100), (100 + x, 100 + y))
    assert slope == pytest.approx(expected, abs=1.5)


class Written(NamedTuple):
    """A page as it was written."""

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    lines: list[str]


@st.composite
def pages(draw: st.DrawFn) -> Written:
    """Draws pages of up to five lines of 2 to 8 digits; the unit of lengths is a height.

    Digits are 0.75 to 1.25 high, and lines 1.6 to 2.5 apart. Each digit is up to 0.1 off its line,
    and beside the one before it or, after a space, 1.5 to 2.5 from it. The lines are rotated by up
    to 20°, and they bend by up to 0.2 over the page's width.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, apart = draw(st.floats(15, 60)), draw(st.floats(1.6, 2.5))
    degrees, bend = draw(st.floats(-20, 20)), draw(st.floats(-0.2, 0.2))
    corners, labels, lines = [], [], []
    for number in range(draw(st.integers(1, 5))):
        x, text = rng.uniform(0, 2), ""
        for place in range(draw(st.integers(2, 8))):
            tall, digit = rng.uniform(0.75, 1.25), rng.integers(10)
            wide = tall * rng.uniform(0.3, 0.9)
            space = place > 0 and rng.random() < 0.2
            x += rng.uniform(1.5, 2.5) if space else rng.uniform(0, 0.4)
            middle = number * apart + rng.uniform(-0.1, 0.1)
            corners.append((x, middle - tall / 2, x + wide, middle + tall / 2))
            labels.append(digit)
            text += f"{' ' if space else ''}{digit}"
            x += wide
        lines.append(text)
    upright = np.array(corners)
    width = max(8, upright[:, 2].max())
    upright[:, 1::2] += bend * (2 * upright[:, :1] / width - 1) ** 2
    return Written(turned(height * upright, degrees), np.array(labels), lines)


@settings(max_examples=150, deadline=None)
@given(page=pages(), seed=st.integers(0, 2**32 - 1))
def test_lines_are_read_as_they_were_written(page: Written, seed: int) -> None:
    """The order of the digits and the place on the page do not matter."""
    without_spaces = [line.replace(" ", "") for line in page.lines]
    read = read_lines(page.boxes_xyxy, page.labels)
    assert [line.replace(" ", "") for line in read] == without_spaces
    order = np.random.default_rng(seed).permutation(len(page.labels))
    assert read_lines(page.boxes_xyxy[order], page.labels[order]) == read
    assert read_lines(page.boxes_xyxy + 1024, page.labels) == read


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40))
def test_any_digits_are_each_read_once_whatever_their_order(seed: int, count: int) -> None:
    """They are scattered over few places and sizes, so that many are equal."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.integers(0, 12, (count, 2)) * 10, rng.integers(1, 4, (count, 2)) * 12
    scattered, labels = np.hstack([corners, corners + sizes]), rng.integers(0, 10, count)
    lines = find_lines(scattered)
    assert sorted(k for line in lines for k in line) == list(range(count))
    read = read_lines(scattered, labels)
    order = rng.permutation(count)
    assert read_lines(scattered[order], labels[order]) == read
    assert sorted("".join(read).replace(" ", "")) == sorted(map(str, labels))
