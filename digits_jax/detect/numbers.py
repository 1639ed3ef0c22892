"""Numbers: the digits and the signs of each line, as text and as values."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from digits_jax.detect.components import Box
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.number_patterns import Automaton, best_reading
from digits_jax.detect.punctuation import ONE, leans_right
from digits_jax.detect.reading_order import (
    box_centres,
    box_heights,
    estimate_slope,
    find_lines,
    space_width,
)
from digits_jax.detect.signs import Mark, Sign, find_signs
from digits_jax.detect.steps import PunctuationConfig

MAX_VALUE_DIGITS = 15  # a float64, all that most readers of JSON have, holds no more
PLAIN = re.compile(r"-?(\d+|\d*[.,]\d+)")  # an integer, or one decimal sign
GROUPED = re.compile(r"-?\d{1,3}(?:(,)\d{3}(?:,\d{3})+|(\.)\d{3}(?:\.\d{3})+)")  # 1,234,567
GROUPED_DECIMAL = re.compile(r"-?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:\.\d{3})+,\d+)")  # 1,234.5


class Number(NamedTuple):
    """Digits of a line without a space between them, and the signs among them."""

    text: str | None  # None where no reading fits the pattern
    value: int | float | None  # None where the text is not one number, such as a date
    box: Box
    # 0–1: the product of the digits' scores or, with a pattern, of the probabilities of all that
    # was chosen, slashes that look like a 1 included.
    score: float
    digits: tuple[int, ...]  # which detections, from left to right
    is_constrained: bool  # whether a pattern chose the digits

    def to_json(self) -> dict[str, Any]:
        """Returns the number as in the results of a page."""
        constrained = {"constrained": True} if self.is_constrained else {}
        return {
            "text": self.text,
            "value": self.value,
            "box": list(self.box),
            "score": round_score(self.score),
            "digits": list(self.digits),
            **constrained,
        }


class _Element(NamedTuple):
    """A digit or a sign of a line."""

    box: Box
    digit: int | None = None  # which detection
    sign: str = ""


def read_numbers(
    marks: Sequence[Mark],
    detections: Detections,
    digits: Sequence[int],
    config: DetectorConfig,
    pattern: Automaton | None = None,
) -> list[Number]:
    """Reads the numbers of a page, line by line from the top.

    A line is split into numbers where `read_lines` puts a space: at gaps wider than its digits are
    high. A sign in a gap divides it into two. Signs count between digits, and a minus before them.

    With a pattern, the digits of each number are those that fit it with the highest product of
    probabilities. A 1 may be a slash then.

    Args:
      marks: the page's ink beside its digits, as `find_marks` returns it; none where it is unknown,
        and then there are no signs.
      detections: what was detected in the page.
      digits: which detections are read.
      config: the constants of detection.
      pattern: as `parse_pattern` returns it. The detections must have probabilities.
    """
    indices = np.array(digits, int)
    boxes = detections.boxes_xyxy[indices]
    slope = estimate_slope(box_centres(boxes), box_heights(boxes)) if len(boxes) else 0.0
    numbers = []
    for line in find_lines(boxes):
        signs = find_signs(marks, boxes[line], slope, config.punctuation)
        elements = _elements(boxes[line], indices[line].tolist(), signs)
        for own in _split(elements, space_width(boxes[line])):
            numbers.append(_read(own, detections, pattern, config.punctuation))
    return numbers


def to_value(text: str) -> int | float | None:
    """Returns the value of a text, or None where it is not one number or has over 15 digits.

    One point or comma is the decimal sign, also in "1,234". Groups of three digits are thousands
    where that is certain: if the same sign stands between at least three groups, or another sign
    follows as the decimal one.
    """
    if sum(c.isdigit() for c in text) > MAX_VALUE_DIGITS:
        return None
    if PLAIN.fullmatch(text):
        plain = text.replace(",", ".")
    elif GROUPED.fullmatch(text):
        plain = text.replace(",", "").replace(".", "")
    elif GROUPED_DECIMAL.fullmatch(text):
        whole, decimals = re.split(r"[.,](?=\d+$)", text)
        plain = re.sub("[.,]", "", whole) + "." + decimals
    else:
        return None
    return float(plain) if "." in plain else int(plain)


def product_of_scores(detections: Detections, digits: Sequence[int]) -> float:
    """Returns the product of the scores of some detections; 1 of none."""
    return prod(float(detections.scores[k]) for k in digits)


def round_score(score: float) -> float:
    """Rounds to 6 significant digits, as the scores of detections are."""
    return float(f"{score:.6g}")


def _elements(
    boxes_xyxy: np.ndarray, indices: Sequence[int], signs: Sequence[Sign | None]
) -> list[_Element]:
    elements = []
    for box, k, sign in zip(boxes_xyxy.tolist(), indices, signs, strict=True):
        if sign:
            elements.append(_Element(sign.box, sign=sign.text))
        elements.append(_Element(tuple(box), digit=k))
    return elements


def _split(elements: Sequence[_Element], space: float) -> Iterator[list[_Element]]:
    """Yields the elements of each number: between wide gaps, without signs at the ends."""
    begins = [k for k, (a, b) in enumerate(pairwise(elements), 1) if b.box[0] - a.box[2] > space]
    for begin, end in pairwise([0, *begins, len(elements)]):
        own = list(elements[begin:end])
        while own and own[-1].sign:
            own.pop()
        while own and own[0].sign not in ("", "-"):
            own.pop(0)
        if own:
            yield own


def _read(
    elements: Sequence[_Element],
    detections: Detections,
    pattern: Automaton | None,
    config: PunctuationConfig,
) -> Number:
    boxes = np.array([element.box for element in elements])
    x0, y0 = boxes[:, :2].min(axis=0).tolist()
    x1, y1 = boxes[:, 2:].max(axis=0).tolist()
    digits = tuple(element.digit for element in elements if element.digit is not None)
    if pattern is None:
        text = "".join(
            element.sign if element.digit is None else str(detections.labels[element.digit])
            for element in elements
        )
        score = product_of_scores(detections, digits)
        return Number(text, to_value(text), (x0, y0, x1, y1), score, digits, False)
    reading = _fit(elements, detections, pattern, config)
    if reading is None:
        return Number(None, None, (x0, y0, x1, y1), 0.0, digits, True)
    characters = [character for character, _ in reading]
    text = "".join(characters)
    digits = tuple(
        element.digit
        for element, character in zip(elements, characters, strict=True)
        if element.digit is not None and character.isdigit()
    )
    score = prod(p for _, p in reading)
    return Number(text, to_value(text), (x0, y0, x1, y1), score, digits, True)


def _fit(
    elements: Sequence[_Element],
    detections: Detections,
    pattern: Automaton,
    config: PunctuationConfig,
) -> list[tuple[str, float]] | None:
    """Returns the best reading that fits a pattern, or None if none does.

    A slash no longer than the digits is detected as a 1. So where nothing fits, straight strokes
    that lean to the right may be slashes, with the probability of a 1.
    """
    assert detections.probabilities is not None  # the command has checked the method
    rows = detections.probabilities.tolist()
    places = [
        {element.sign: 1.0}
        if element.digit is None
        else {str(label): p for label, p in enumerate(rows[element.digit])}
        for element in elements
    ]
    reading = best_reading(places, pattern)
    if reading is not None or detections.crops is None:
        return reading
    for element, place in zip(elements, places, strict=True):
        k = element.digit
        if k is not None and detections.labels[k] == ONE:
            crop = detections.crops[k]
            if leans_right(crop > crop.max() // 2, config):
                place["/"] = place[str(ONE)]
    return best_reading(places, pattern)
