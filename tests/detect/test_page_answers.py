"""What a page answers: numbers, regions and grids, from hand-made detections."""

from typing import Any

import numpy as np
import pytest
from page_results import digits

from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detections import Detections
from digits_jax.detect.number_patterns import parse_pattern
from digits_jax.detect.page_answers import GridSize, Questions, answer
from digits_jax.detect.regions import Regions

BLANK = np.zeros((40, 60), np.uint8)
TWO = digits([[0, 0, 20, 40], [30, 0, 50, 40]], [7, 2], [0.5, 0.5])
NONE = digits(np.zeros((0, 4)), [], [])


def ask(
    questions: Questions, ink: np.ndarray | None = BLANK, found: Detections = TWO
) -> tuple[dict[str, Any], list[str]]:
    """Returns the answer, and the lines that were logged."""
    lines: list[str] = []
    shape = BLANK.shape if ink is None else ink.shape
    return answer(questions, ink, shape, found, DEFAULT_CONFIG, lines.append), lines


def test_nothing_is_added_unless_it_is_asked() -> None:
    assert ask(Questions()) == ({}, [])
    assert ask(Questions(numbers=True), found=NONE) == ({"numbers": []}, [])


def test_numbers_are_told_without_signs_where_the_ink_is_unknown() -> None:
    result, (line,) = ask(Questions(numbers=True), ink=None)
    number = {"text": "72", "value": 72, "box": [0, 0, 50, 40], "score": 0.25, "digits": [0, 1]}
    assert result == {"numbers": [number]}
    assert "is read in strips" in line


def test_regions_hold_the_digits_whose_middles_they_hold() -> None:
    regions = Regions({"a": (0, 0, 12, 30), "b": (12, 0, 25, 30), "c": (80, 0, 90, 9)}, False)
    result, (line,) = ask(Questions(regions=regions))
    assert list(result) == ["regions"]
    first, second, third = (result["regions"][name] for name in "abc")
    assert first["numbers"] == [
        {"text": "7", "value": 7, "box": [0, 0, 20, 40], "score": 0.5, "digits": [0]}
    ]
    assert (first["text"], first["digits"], first["score"]) == ("7", [0], 0.5)
    assert first["box"] == [0, 0, 12, 30]
    empty: dict[str, Any] = {"text": "", "digits": [], "score": None, "numbers": []}
    assert second == {**empty, "box": [12, 0, 25, 30]}
    assert third == {**empty, "box": [80, 0, 90, 9]}
    assert line == "is 60×40 px: the region 'c' lies outside it"


def form() -> tuple[np.ndarray, Detections]:
    """Returns a table of 2×3 cells of 60×50 px with a 4, a 12 and a 3-5 in it."""
    ink = np.zeros((160, 240), np.uint8)
    for x in (20, 80, 140, 200):
        ink[20:122, x : x + 2] = 255
    for y in (20, 70, 120):
        ink[y : y + 2, 20:202] = 255
    boxes = [[45, 30, 60, 60], [90, 30, 105, 60], [112, 30, 127, 60], [148, 80, 160, 110],
             [180, 80, 192, 110]]  # fmt: skip
    for x0, y0, x1, y1 in boxes:
        ink[y0:y1, x0:x1] = 255
    ink[94:97, 165:175] = 255
    return ink, digits(boxes, [4, 1, 2, 3, 5], [0.5, 0.5, 0.8, 1.0, 0.9])


def test_a_grid_is_answered_cell_by_cell() -> None:
    ink, found = form()
    (result, lines), (sized, _) = (
        ask(Questions(grid=GridSize(*size)), ink, found) for size in [(), (2, 3)]
    )
    assert lines == []
    assert result == sized
    grid = result["grid"]
    assert (grid["rows"], grid["columns"]) == (2, 3)
    assert grid["box"] == pytest.approx([22, 22, 200, 120], abs=1)
    assert grid["cells"] == [[4, 12, None], [None, None, "3-5"]]
    assert grid["scores"] == [[0.5, 0.4, None], [None, None, 0.9]]


def test_a_grid_of_another_size_is_divided_or_refused() -> None:
    ink, found = form()
    result, lines = ask(Questions(grid=GridSize(2, 6)), ink, found)
    assert lines == []
    assert result["grid"]["cells"][0] == [None, 4, 1, 2, None, None]
    assert result["grid"]["cells"][1] == [None, None, None, None, 3, 5]
    assert ask(Questions(grid=GridSize(3, 3)), ink, found) == (
        {"grid": None},
        ["shows a grid of 2x3 cells, not of 3x3"],
    )


def test_a_page_without_a_lattice_or_in_strips_has_no_grid() -> None:
    no_grid = {"grid": None}
    assert ask(Questions(grid=GridSize())) == (no_grid, ["shows no grid of ruled cells"])
    result, (line,) = ask(Questions(grid=GridSize()), ink=None)
    assert result == no_grid
    assert "a grid is not searched for" in line


def test_a_pattern_constrains_regions_and_cells() -> None:
    probabilities = np.full((2, 10), 0.02, np.float32)
    probabilities[[0, 1], [7, 2]] = 0.5
    probabilities[:, 1] = 0.3
    found = TWO._replace(probabilities=probabilities)
    regions = Regions({"all": (0, 0, 1, 1)}, True)
    questions = Questions(pattern=parse_pattern("[01]{2}"), regions=regions)
    result, _ = ask(questions, found=found)
    (number,) = result["regions"]["all"]["numbers"]
    assert (number["text"], number["value"], number["constrained"]) == ("11", 11, True)
    assert number["score"] == pytest.approx(0.09)
    assert result["regions"]["all"]["text"] == "72"
