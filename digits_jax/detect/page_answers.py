"""What a page's digits answer beside the detections themselves: numbers, regions and a grid."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.lattice import Lattice, find_lattice
from digits_jax.detect.number_patterns import Automaton
from digits_jax.detect.numbers import Number, product_of_scores, read_numbers, round_score
from digits_jax.detect.punctuation import digits_of_numbers
from digits_jax.detect.reading_order import read_lines
from digits_jax.detect.regions import RegionBox, Regions, boxes_inside
from digits_jax.detect.signs import Mark, find_marks


class GridSize(NamedTuple):
    """The cells that a form has; None for any number of them."""

    rows: int | None = None
    columns: int | None = None


class Questions(NamedTuple):
    """What is asked of each page."""

    numbers: bool = False
    pattern: Automaton | None = None  # what each number has to fit
    regions: Regions | None = None
    grid: GridSize | None = None


class _Page(NamedTuple):
    """What numbers are read from."""

    detections: Detections
    digits: list[int]  # those of the detections that numbers are made of
    marks: list[Mark]  # ink that may be signs
    config: DetectorConfig
    pattern: Automaton | None

    @property
    def mark_boxes(self) -> Int[np.ndarray, "n 4"]:
        """The boxes of the marks, px."""
        return np.array([mark.box for mark in self.marks], int).reshape(-1, 4)

    def read(self, digits: Sequence[int], marks: Sequence[Mark]) -> list[Number]:
        """Returns the numbers that some of the digits and marks make."""
        return read_numbers(marks, self.detections, digits, self.config, self.pattern)


def answer(
    questions: Questions,
    ink: UInt8[np.ndarray, "H W"] | None,
    shape: tuple[int, int],
    detections: Detections,
    config: DetectorConfig,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns what is asked, as in the JSON object of a page.

    Args:
      questions: what is asked.
      ink: the page, ink bright; None if it is larger than memory. Then numbers have no signs, and
        there is no grid.
      shape: its height and width, px.
      detections: what was detected in it.
      config: the constants of detection.
      log: receives a line of text about each question that has no answer.
    """
    if questions == Questions():
        return {}
    if ink is None:
        log("is read in strips: its numbers have no signs, and a grid is not searched for")
    boxes = detections.boxes_xyxy
    digits = digits_of_numbers(boxes, detections.scores, config.punctuation)
    marks = [] if ink is None else find_marks(ink, boxes[digits], config)
    page = _Page(detections, digits, marks, config, questions.pattern)
    result: dict[str, Any] = {}
    if questions.numbers:
        result["numbers"] = [number.to_json() for number in page.read(digits, marks)]
    if questions.regions:
        for name in questions.regions.outside(shape):
            log(f"is {shape[1]}×{shape[0]} px: the region {name!r} lies outside it")
        result["regions"] = {
            name: _answer_region(box, page)
            for name, box in questions.regions.on_page(shape).items()
        }
    if questions.grid:
        lattice = None if ink is None else _find_grid(ink, boxes[digits], questions.grid, config)
        if isinstance(lattice, str):
            log(lattice)
        result["grid"] = _answer_grid(lattice, page) if isinstance(lattice, Lattice) else None
    return result


def _answer_region(box: RegionBox, page: _Page) -> dict[str, Any]:
    boxes = page.detections.boxes_xyxy
    inside = boxes_inside(box, boxes)
    lines = read_lines(boxes[inside], page.detections.labels[inside])
    marks = [page.marks[k] for k in boxes_inside(box, page.mark_boxes)]
    numbers = page.read([k for k in page.digits if k in set(inside)], marks)
    return {
        "text": "\n".join(lines),
        "digits": inside,
        "score": round_score(product_of_scores(page.detections, inside)) if inside else None,
        "box": list(box),
        "numbers": [number.to_json() for number in numbers],
    }


def _find_grid(
    ink: UInt8[np.ndarray, "H W"],
    digit_boxes: np.ndarray,
    size: GridSize,
    config: DetectorConfig,
) -> Lattice | str:
    """Returns the lattice of a page, or a line of text that says why there is none."""
    is_any = size.rows is None or size.columns is None
    threshold = config.components.ink_threshold
    lattice = find_lattice(ink, threshold, digit_boxes, min_cells=2 if is_any else 1)
    if lattice is None:
        return "shows no grid of ruled cells"
    if size.rows is None or size.columns is None:
        return lattice
    if size.rows % lattice.rows or size.columns % lattice.columns:
        return (
            f"shows a grid of {lattice.rows}x{lattice.columns} cells, not of "
            f"{size.rows}x{size.columns}"
        )
    return lattice.divided(size.rows, size.columns)


def _answer_grid(lattice: Lattice, page: _Page) -> dict[str, Any]:
    digits = lattice.in_cells(page.detections.boxes_xyxy[page.digits])
    marks = lattice.in_cells(page.mark_boxes)
    numbers = [
        [
            page.read([page.digits[k] for k in own], [page.marks[k] for k in own_marks])
            for own, own_marks in zip(*rows, strict=True)
        ]
        for rows in zip(digits, marks, strict=True)
    ]
    return {
        "rows": lattice.rows,
        "columns": lattice.columns,
        "box": list(lattice.box),
        "cells": [[_cell(own) for own in row] for row in numbers],
        "scores": [[_cell_score(own) for own in row] for row in numbers],
    }


def _cell(numbers: Sequence[Number]) -> int | float | str | None:
    """Returns the value of a cell's number, or its text where that is not one number."""
    if len(numbers) == 1 and numbers[0].value is not None:
        return numbers[0].value
    texts = [number.text for number in numbers if number.text is not None]
    return " ".join(texts) if texts else None


def _cell_score(numbers: Sequence[Number]) -> float | None:
    return round_score(float(np.prod([n.score for n in numbers]))) if numbers else None
