"""Punctuation: slashes and commas among the digits of a line."""

import numpy as np
import pytest
from candidates import make_candidate

from digits_jax.detect.candidates import Candidate
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.punctuation import remove_punctuation

CONFIG = DEFAULT_CONFIG.punctuation


def candidate(box: tuple[int, int, int, int], label: int, lean: float = 0.0) -> Candidate:
    """Returns a candidate whose ink is a stroke; its upper end lies `lean` of its height right."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: y1 - y0, : x1 - x0]
    middle = (x1 - x0 - 1) / 2 + lean * ((y1 - y0 - 1) / 2 - y)
    return make_candidate(box, 0.99, label=label, mask=np.abs(x - middle) < 2)


def line_with(other: Candidate) -> list[Candidate]:
    """Returns four digits of 40 px, from y = 100 to 140, with another one in their middle."""
    digits = [candidate((x, 100, x + 25, 140), 8) for x in (0, 35, 100, 135)]
    return [*digits[:2], other, *digits[2:]]


def is_removed(other: Candidate) -> bool:
    digits = line_with(other)
    left = remove_punctuation(digits, CONFIG)
    expected = [digit for digit in digits if digit is not other]
    if len(left) == len(digits):
        expected = digits
    assert all(a is b for a, b in zip(left, expected, strict=True))
    return len(left) < len(digits)


@pytest.mark.parametrize(
    ("box", "lean", "removed"),
    [
        ((65, 95, 90, 150), 0.45, True),  # a slash, longer than the digits, and below them
        ((65, 95, 90, 150), -0.45, False),  # leans to the left
        ((75, 95, 80, 150), 0.0, False),  # upright: a tall 1
        ((70, 100, 85, 140), 0.4, False),  # as high as the digits: a slanting 1
        ((70, 80, 90, 130), 0.4, False),  # above them
        ((75, 132, 81, 148), 0.2, True),  # a comma
        ((75, 100, 81, 112), 0.0, False),  # an apostrophe is left as it is
        ((75, 108, 81, 140), 0.0, False),  # a 1 of 0.8 of their height
    ],
)
def test_slashes_and_commas_of_a_line_are_no_1s(
    box: tuple[int, int, int, int], lean: float, removed: bool
) -> None:
    assert is_removed(candidate(box, 1, lean)) == removed


def test_other_digits_are_not_punctuation() -> None:
    assert not is_removed(candidate((65, 95, 90, 150), 7, 0.45))


def test_without_a_line_nothing_is_removed() -> None:
    """Alone, with one neighbour, or among digits of other heights."""
    slash = candidate((65, 95, 90, 150), 1, 0.45)
    alone = [slash, candidate((35, 100, 60, 140), 8)]
    assert remove_punctuation(alone, CONFIG) == alone
    uneven = [candidate((x, 90 - 30 * k, x + 30, 140), 8) for k, x in enumerate((35, 100, 0))]
    assert len(remove_punctuation([slash, *uneven], CONFIG)) == 4
    assert remove_punctuation([], CONFIG) == []
