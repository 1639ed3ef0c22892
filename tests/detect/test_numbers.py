"""Numbers: values of texts, and pages of real digits with drawn signs."""

from math import prod

import numpy as np
import pytest
from clear_digits import ClearDigits
from number_pages import write
from page_results import digits

from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.number_patterns import parse_pattern
from digits_jax.detect.numbers import Number, read_numbers, to_value
from digits_jax.detect.punctuation import digits_of_numbers
from digits_jax.detect.signs import find_marks


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("007", 7),
        ("3.14", 3.14),
        ("-3,14", -3.14),
        ("-.5", -0.5),
        ("1,234", 1.234),  # one sign is the decimal one
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1,234,567.8", 1234567.8),
        ("1,23,4", None),
        ("1.2.3", None),
        ("1,234.567.8", None),
        ("17/05/2024", None),
        ("12:30", None),
        ("2024-05-17", None),
        ("1-2", None),
        ("123456789012345", 123456789012345),
        ("1234567890123456", None),
    ],
)
def test_the_value_of_a_text(text: str, value: float | None) -> None:
    found = to_value(text)
    assert found == value
    assert type(found) is type(value)


def read(
    text: str, detector: Detector, clear_digits: ClearDigits
) -> tuple[Detections, list[Number]]:
    page = write(text, clear_digits)
    found = detector.detect(page.image)
    kept = digits_of_numbers(found.boxes_xyxy, found.scores, DEFAULT_CONFIG.punctuation)
    marks = find_marks(page.image, found.boxes_xyxy[kept], DEFAULT_CONFIG)
    return found, read_numbers(marks, found, kept, DEFAULT_CONFIG)


@pytest.mark.parametrize(
    "text", ["-3.14", "17/05/2024", "2024-05-17", "12:30", "-7,5 42", "1,234.5", "8071"]
)
def test_numbers_of_real_digits_and_drawn_signs_are_read(
    text: str, detector: Detector, clear_digits: ClearDigits
) -> None:
    found, numbers = read(text, detector, clear_digits)
    assert [number.text for number in numbers] == text.split()
    for number, own in zip(numbers, text.split(), strict=True):
        assert number.value == to_value(own)
        labels = "".join(str(found.labels[k]) for k in number.digits)
        assert labels == "".join(filter(str.isdigit, own))
        assert number.score == pytest.approx(prod(found.scores[list(number.digits)].tolist()))
        boxes = found.boxes_xyxy[list(number.digits)]
        assert number.box[0] <= boxes[:, 0].min()
        assert number.box[2] == boxes[:, 2].max()
        assert (number.box[0] < boxes[:, 0].min()) == own.startswith("-")


def test_a_sign_in_a_wide_gap_joins_two_digits_and_a_wider_gap_splits() -> None:
    """Digits 40 px high; the slash of 18 px has 30 px on each side, which is no space."""
    page_ink = np.zeros((120, 400), np.uint8)
    for x in (50, 152):
        page_ink[40:80, x : x + 24] = 255
    for k in range(52):  # from the lower left to the upper right
        page_ink[34 + k, 104 + (51 - k) * 14 // 51 : 108 + (51 - k) * 14 // 51] = 255
    boxes = np.array([[50, 40, 74, 80], [152, 40, 176, 80]])
    found = digits(boxes, [1, 2], [0.5, 0.8])
    marks = find_marks(page_ink, boxes, DEFAULT_CONFIG)
    (number,) = read_numbers(marks, found, [0, 1], DEFAULT_CONFIG)
    assert (number.text, number.value) == ("1/2", None)
    assert number.score == pytest.approx(0.4)
    assert number.box == (50, 34, 176, 86)
    assert [n.text for n in read_numbers([], found, [0, 1], DEFAULT_CONFIG)] == ["1", "2"]
    (second,) = read_numbers(marks, found, [1], DEFAULT_CONFIG)
    assert (second.text, second.digits) == ("2", (1,))


def test_a_sign_beside_a_space_belongs_to_no_number_unless_it_is_a_minus_before_it() -> None:
    """10 px on one side, 60 px on the other; the digits are 40 px high."""
    boxes = np.array([[50, 40, 74, 80], [160, 40, 184, 80]])
    found = digits(boxes, [1, 2], [0.5, 0.8])
    for left, expected in [(84, ["1", "2"]), (134, ["1", "-2"])]:
        ink = np.zeros((120, 300), np.uint8)
        ink[40:80, 50:74] = ink[40:80, 160:184] = ink[58:62, left : left + 16] = 255
        marks = find_marks(ink, boxes, DEFAULT_CONFIG)
        numbers = read_numbers(marks, found, [0, 1], DEFAULT_CONFIG)
        assert [number.text for number in numbers] == expected


def test_a_pattern_chooses_the_digits_and_the_score_is_that_of_the_choice() -> None:
    probabilities = np.full((2, 10), 0.01, np.float32)
    probabilities[0, [7, 1]] = 0.6, 0.3
    probabilities[1, [2, 5]] = 0.8, 0.1
    boxes = [[0, 0, 20, 40], [30, 0, 50, 40]]
    found = digits(boxes, [7, 2], [0.9, 0.9])._replace(probabilities=probabilities)
    pattern = parse_pattern("0[1-9]|1[0-2]")
    (number,) = read_numbers([], found, [0, 1], DEFAULT_CONFIG, pattern)
    assert (number.text, number.value, number.digits) == ("12", 12, (0, 1))
    assert number.score == pytest.approx(0.24)
    assert number.to_json()["constrained"] is True
    (number,) = read_numbers([], found, [0, 1], DEFAULT_CONFIG, parse_pattern(r"\d{3}"))
    assert number == Number(None, None, (0, 0, 50, 40), 0.0, (0, 1), True)


def test_a_pattern_tells_slashes_that_are_no_longer_than_the_digits(
    detector: Detector, clear_digits: ClearDigits
) -> None:
    """They are detected as 1s, which a pattern of digits still takes for 1s."""
    page = write("23/05/2024", clear_digits, slash_overhang=-3)
    found = detector.detect(page.image)
    kept = digits_of_numbers(found.boxes_xyxy, found.scores, DEFAULT_CONFIG.punctuation)
    assert len(kept) == 10
    marks = find_marks(page.image, found.boxes_xyxy[kept], DEFAULT_CONFIG)
    for pattern, text, count in [
        (None, "2310512024", 10),
        (r"\d{2}/\d{2}/\d{4}", "23/05/2024", 8),
        (r"\d{10}|\d{2}/\d{2}/\d{4}", "2310512024", 10),
        (r"\d/\d+", None, 10),  # the 3 is no stroke
    ]:
        automaton = None if pattern is None else parse_pattern(pattern)
        (number,) = read_numbers(marks, found, kept, DEFAULT_CONFIG, automaton)
        assert number.text == text
        assert len(number.digits) == count
        if count == 8:
            assert [int(found.labels[k]) for k in number.digits] == [2, 3, 0, 5, 2, 0, 2, 4]
            assert 0.5 < number.score < 1


def test_points_that_are_read_as_digits_are_left_out() -> None:
    """A 0 of 10 px at the feet of two 5s, one in the middle, and a 5 read together with it."""
    boxes = [[0, 0, 24, 40], [30, 30, 40, 40], [46, 0, 70, 40], [0, 0, 40, 40], [76, 15, 84, 24]]
    scores = np.array([0.9, 0.8, 0.9, 0.7, 0.6], np.float32)
    assert digits_of_numbers(np.array(boxes), scores, DEFAULT_CONFIG.punctuation) == [0, 2]
    small = np.array([[0, 0, 24, 40], [30, 0, 50, 22]])  # beside one digit, not at its feet
    assert digits_of_numbers(small, scores[:2], DEFAULT_CONFIG.punctuation) == [0, 1]
    assert digits_of_numbers(small[:0], scores[:0], DEFAULT_CONFIG.punctuation) == []
