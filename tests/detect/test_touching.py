"""Which components of ink may be several digits, and which doubtful ones are read once more."""

import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from candidates import make_candidate
from clear_digits import ClearDigits, page_of, touching

from digits_jax.detect.candidates import Candidate
from digits_jax.detect.component_readings import Page, read_again, read_components
from digits_jax.detect.component_search import search_image
from digits_jax.detect.components import Component, find_components
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crop_classifier import Classify, Crops, Readings
from digits_jax.detect.steps import TouchingConfig
from digits_jax.detect.touching import (
    InkSum,
    relative_ink,
    stroke_crossings,
    touching_probabilities,
)

E = """
#####
#....
####.
#....
#####
"""
EIGHT = """
.###.
#...#
.###.
#...#
.###.
"""
LINE = """
#
#
"""


@pytest.mark.parametrize(
    ("drawing", "crossings"),  # of rows, columns and the diagonals of either direction
    [(E, 1 + 3 + 3 + 3), (EIGHT, 2 + 3 + 2 + 2), (LINE, 1 + 1 + 1 + 1)],
)
def test_strokes_are_counted_along_lines_of_four_directions(drawing: str, crossings: int) -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in drawing.split()])
    for turned in (mask, mask.T, mask[::-1], mask[:, ::-1]):
        assert stroke_crossings(turned) == crossings


def test_ragged_edges_of_large_strokes_are_not_counted() -> None:
    mask = np.kron([[pixel == "#" for pixel in row] for row in E.split()], np.ones((40, 40))) > 0
    assert stroke_crossings(mask) == 1 + 3 + 3 + 3
    mask[::2, :-1] |= mask[::2, 1:]
    mask[5::10, 100:104] = True
    mask[5::10, 105:107] = True
    assert stroke_crossings(mask) == 1 + 3 + 3 + 3


def candidate(margin: float, mask: np.ndarray) -> Candidate:
    """Returns a 3, read with a margin."""
    probabilities = np.full(10, (1 - margin) / 10, np.float32)
    probabilities[3] += margin
    height, width = mask.shape
    made = make_candidate((0, 0, width, height), 0.0, mask=mask)
    return made._replace(probabilities=probabilities)


def test_the_log_odds_are_linear_in_those_of_the_margin_in_crossings_and_relative_ink() -> None:
    """Of a line of 4 px, another one, and a ring of 12 px. The others' ink counts by the margin."""
    config = TouchingConfig(offset=-2.0, margin_slope=-0.5, crossings_slope=0.75, ink_slope=1.5)
    line, ring = np.ones((4, 1), bool), np.ones((4, 4), bool)
    ring[1:3, 1:3] = False
    digits = [candidate(0.5, line), candidate(0.9, line), candidate(0.9, ring)]
    own = np.array([-2 + 0.75 * 4, -2 - 0.5 * np.log(9) + 0.75 * 4, -2 - 0.5 * np.log(9) + 6.0])
    crossings = [stroke_crossings(digit.mask) for digit in digits]
    assert crossings == [4, 4, 8]
    more = [-np.log(3) * 0.91 / (0.91 + 0.91), -np.log(3) * 0.91 / (0.91 + 0.51), np.log(3)]
    inks = relative_ink([None, *digits], InkSum.of(digits))
    np.testing.assert_allclose(inks, [0.0, *more], rtol=1e-5)
    # Sums over parts of the image add up.
    in_parts = InkSum.of(digits[:1]) + InkSum.of(digits[1:])
    np.testing.assert_allclose(relative_ink([None, *digits], in_parts), inks, rtol=1e-12)
    found = touching_probabilities([None, *digits], [0, *crossings], inks, config)
    expected = 1 / (1 + np.exp(-own - 1.5 * np.array(more)))
    assert found == pytest.approx([1.0, *expected], rel=1e-4)
    assert relative_ink(digits[:1], InkSum.of(digits[:1])) == [0.0]
    (alone,) = touching_probabilities(digits[:1], crossings[:1], [0.0], config)
    assert alone == pytest.approx(1 / (1 + np.exp(-own[0])), rel=1e-4)
    assert relative_ink([], InkSum.of([])) == []
    assert touching_probabilities([], [], [], config) == []


def test_pairs_that_touch_are_told_from_single_digits(
    classify: Classify, clear_digits: ClearDigits
) -> None:
    """By the fitted coefficients."""
    digits = clear_digits.of_sides([40] * 80)
    pairs = [touching(*pair)[0] for pair in zip(digits[::2], digits[1::2], strict=True)]
    single = [np.pad(digit.ink, 4) for digit in digits]
    least = DEFAULT_CONFIG.touching.min_probability
    several, one = (
        [probability(read(image, classify)) for image in images] for images in (pairs, single)
    )
    assert np.mean(np.array(several) >= least) >= 0.8
    assert np.mean(np.array(one) < least) >= 0.95


def probability(digit: Candidate | None) -> float:
    """Returns the probability that a component by itself is several digits."""
    crossings = [0 if digit is None else stroke_crossings(digit.mask)]
    (found,) = touching_probabilities([digit], crossings, [0.0], DEFAULT_CONFIG.touching)
    return found


def test_a_second_reading_is_the_mean_of_five_places(
    classify: Classify, clear_digits: ClearDigits
) -> None:
    (digit,) = clear_digits.of_sides([20])
    parts, reading = start_reading(np.pad(digit.ink, 10))
    centred = next(reading)
    (first,) = finish(reading, classify([centred]))
    reading_again = read_again([first], parts, DEFAULT_CONFIG)
    moved = next(reading_again)
    (again,) = finish(reading_again, classify([moved]))
    places = [centred[0]]
    for axis, step in ((1, -2), (1, 2), (0, -2), (0, 2)):
        places.append(np.roll(centred[0], step, axis))  # the frame is empty for 2 px at each edge
    np.testing.assert_array_equal(moved, places[1:])
    probabilities = classify([np.stack(places)]).probabilities
    np.testing.assert_allclose(first.probabilities, probabilities[0], atol=1e-6)
    np.testing.assert_allclose(again.probabilities, probabilities.mean(axis=0), atol=1e-6)


def read(image: np.ndarray, classify: Classify) -> Candidate | None:
    """Reads the one component of an image."""
    _, reading = start_reading(image)
    digits: list[Candidate | None] = finish(reading, classify([next(reading)]))
    (digit,) = digits
    return digit


def start_reading(
    image: np.ndarray,
) -> tuple[list[Component], Generator[Crops, Readings, list[Candidate | None]]]:
    """Returns the components of an image, and the first reading of them."""
    constants = DEFAULT_CONFIG.components
    parts = find_components(image, constants.ink_threshold, 2.0)
    page = Page(image, constants.ink_threshold)
    return parts, read_components(parts, page, DEFAULT_CONFIG)


def finish(reading: Generator[Crops, Readings, list[Any]], readings: Readings) -> list[Any]:
    """Returns what a search returns after its only request."""
    with pytest.raises(StopIteration) as finished:
        reading.send(readings)
    found: list[Any] = finished.value.value
    return found


def test_windows_are_read_only_in_what_may_be_several_digits(
    classify: Classify, clear_digits: ClearDigits
) -> None:
    """Of 1s that all count as doubtful: each is read at four more places, some without a bar."""
    components = dataclasses.replace(DEFAULT_CONFIG.components, sure_score=1.0)
    doubting = dataclasses.replace(DEFAULT_CONFIG, components=components)
    digits = clear_digits.of_sides([40] * 9, label=1)
    alone = crops_of(page_of(digits, columns=3, gap=40).image, classify, doubting)
    assert 9 * (1 + 4) <= alone < 9 * 9
    pair, _ = touching(*clear_digits.of_sides([40] * 2, label=2))
    assert crops_of(pair, classify, doubting) > 40


def crops_of(image: np.ndarray, classify: Classify, config: object) -> int:
    """Returns how many crops the search of an image classifies."""
    search = search_image(image, config)  # type: ignore[arg-type]
    crops, count = next(search), 0
    while True:
        count += len(crops)
        try:
            crops = search.send(classify([crops]))
        except StopIteration:
            return count
