"""Signs between digits: drawn ones of known geometry between boxes that stand for digits."""

import cv2
import numpy as np
import pytest
from number_pages import BASELINE, HEIGHT, NumberPage, strokes

from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.signs import find_marks, find_signs


def read(page: NumberPage, boxes: np.ndarray) -> list[str]:
    """Returns the sign before each digit, "" where there is none."""
    marks = find_marks(page.image, boxes, DEFAULT_CONFIG)
    signs = find_signs(marks, boxes, 0.0, DEFAULT_CONFIG.punctuation)
    return [sign.text if sign else "" for sign in signs]


@pytest.mark.parametrize("sign", list("-/,.:"))
def test_each_sign_is_told_between_two_digits(sign: str) -> None:
    page, boxes = strokes(f"4{sign}2")
    assert read(page, boxes) == ["", sign]


def test_a_minus_is_told_before_the_first_digit_and_a_box_is_that_of_its_ink() -> None:
    page, boxes = strokes("-5")
    marks = find_marks(page.image, boxes, DEFAULT_CONFIG)
    (sign,) = find_signs(marks, boxes, 0.0, DEFAULT_CONFIG.punctuation)
    ys, xs = np.nonzero(page.image[:, : boxes[0, 0]])
    assert sign is not None
    assert sign.text == "-"
    assert sign.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@pytest.mark.parametrize(
    ("begin", "end", "thickness"),
    [
        ((102, BASELINE - 20), (102, BASELINE - 20), 6),  # a dot in the middle
        ((100, BASELINE), (118, BASELINE), 3),  # a line at their feet
        ((100, BASELINE - 40), (118, BASELINE - 40), 3),  # one above
        ((109, BASELINE - 38), (109, BASELINE - 4), 4),  # an upright stroke
        ((100, BASELINE - HEIGHT - 6), (118, BASELINE + 6), 4),  # leans to the left
        ((103, BASELINE - 34), (115, BASELINE - 4), 4),  # leans to the left, as high as digits
        ((115, BASELINE - 34), (103, BASELINE - 4), 4),  # a leaning 1 that was not found
        ((103, BASELINE + 30), (115, BASELINE + 30), 4),  # far below
    ],
)
def test_other_strokes_are_passed_over(
    begin: tuple[int, int], end: tuple[int, int], thickness: int
) -> None:
    page = NumberPage()
    page.digit(np.full((HEIGHT, 24), 255, np.uint8))
    cv2.line(page.image, begin, end, 255, thickness)
    page.x = 134
    page.digit(np.full((HEIGHT, 24), 255, np.uint8))
    assert read(page, np.array(page.digit_boxes)) == ["", ""]


def test_an_equals_sign_and_faint_dirt_are_passed_over() -> None:
    page, boxes = strokes("4-2")
    assert read(page, boxes) == ["", "-"]
    cv2.line(page.image, (94, BASELINE - 10), (112, BASELINE - 10), 255, 3)
    assert read(page, boxes) == ["", ""]
    page, boxes = strokes("4.2")
    page.image[:, boxes[0, 2] : boxes[1, 0]] //= 4
    assert read(page, boxes) == ["", ""]


def test_a_comma_in_the_box_of_a_digit_is_told() -> None:
    """The box of a 7 is empty below its bar, right of its stem."""
    page = NumberPage()
    seven = np.zeros((HEIGHT, 30), np.uint8)
    seven[:5], seven[:, 4:10] = 255, 255
    seven[-12:-1, 22:27] = 255
    page.digit(seven)
    page.digit(np.full((HEIGHT, 24), 255, np.uint8))
    assert read(page, np.array(page.digit_boxes)) == ["", ","]


def test_a_point_that_was_read_with_its_digit_is_told() -> None:
    page, boxes = strokes("4.2")
    assert read(page, boxes) == ["", "."]
    boxes[0, 2] += 16  # the digit's box reaches around the point
    assert read(page, boxes) == ["", "."]


def test_rulings_and_what_they_leave_are_no_signs() -> None:
    """A comb of boxes; its lines are 2 px thick, and a comma stands across one."""
    page, boxes = strokes("4444")
    for x in range(boxes[0, 0] - 5, 240, 34):
        cv2.rectangle(page.image, (x, BASELINE - 46), (x + 34, BASELINE + 6), 255, 2)
    assert read(page, boxes) == ["", "", "", ""]
    page, boxes = strokes("4444")
    for x in boxes[:, 0].tolist():  # separate boxes, with a pen's soft edges
        cv2.rectangle(page.image, (x - 5, BASELINE - 47), (x + 27, BASELINE + 6), 255, 2)
    page.image = cv2.GaussianBlur(page.image, (0, 0), 1.0)
    assert read(page, boxes) == ["", "", "", ""]
    page, boxes = strokes("44")  # squared paper: what is left where its lines cross
    cv2.line(page.image, (20, BASELINE - 3), (400, BASELINE - 3), 255, 3)
    cv2.line(page.image, (89, 20), (89, 155), 255, 3)
    assert read(page, boxes) == ["", ""]
    page, boxes = strokes("44,4")
    cv2.line(page.image, (20, BASELINE + 1), (400, BASELINE + 1), 255, 1)
    assert read(page, boxes) == ["", "", ","]


def test_the_end_of_a_ruling_through_digits_is_no_minus() -> None:
    """Digits cover most of it, so that it is not erased as the line across it is."""
    page, boxes = strokes("444444")
    middle, right = BASELINE - 20, int(boxes[-1, 2])
    cv2.line(page.image, (int(boxes[0, 0]) - 30, middle), (right + 40, middle), 255, 2)
    cv2.line(page.image, (right + 40, 20), (right + 40, 155), 255, 2)
    assert read(page, boxes) == [""] * 6


def test_lines_may_slope() -> None:
    """Digits and minus descend by 10°; the page's slope puts them on one level."""
    page = NumberPage()
    tan, boxes = np.tan(np.radians(10)), []
    for k in range(3):
        x, y = 60 + 70 * k, 60 + round(70 * k * tan)
        page.image[y : y + HEIGHT, x : x + 24] = 255
        boxes.append((x, y, x + 24, y + HEIGHT))
        begin = (x + 38, round(y + 20 + 26 * tan))
        cv2.line(page.image, begin, (x + 56, round(begin[1] + 18 * tan)), 255, 4)
    marks = find_marks(page.image, np.array(boxes), DEFAULT_CONFIG)
    signs = find_signs(marks, np.array(boxes), np.radians(10), DEFAULT_CONFIG.punctuation)
    assert [sign.text if sign else "" for sign in signs] == ["", "-", "-"]


def test_a_page_without_digits_has_no_marks() -> None:
    page = NumberPage()
    page.sign("-")
    assert find_marks(page.image, np.zeros((0, 4), int), DEFAULT_CONFIG) == []
    assert find_signs([], np.zeros((0, 4), int), 0.0, DEFAULT_CONFIG.punctuation) == []
