"""Reliability diagrams and the expected calibration error, by hand."""

import math

import numpy as np
import pytest

from digits_jax.runtime.errors import ArgumentError
from experiments.common.reliability import expected_calibration_error, reliability


def test_bins_hold_the_confidences_from_their_lower_bound_on() -> None:
    confidence = np.array([0.0, 0.1, 0.5, 0.7, 1.0])
    is_right = np.array([False, True, True, False, True])
    low, high = reliability(confidence, is_right, 2)
    assert (low.low, low.high, low.predictions) == (0.0, 0.5, 2)
    assert low.mean_confidence == pytest.approx(0.05)
    assert low.right == 0.5
    assert (high.low, high.high, high.predictions) == (0.5, 1.0, 3)
    assert high.mean_confidence == pytest.approx(2.2 / 3)
    assert high.right == pytest.approx(2 / 3)
    # 2/5 · |0.5 − 0.05| + 3/5 · |2/3 − 2.2/3|
    assert expected_calibration_error([low, high]) == pytest.approx(0.18 + 0.04)


def test_empty_bins_have_no_share_and_no_weight() -> None:
    rows = reliability(np.array([0.95]), np.array([True]))
    assert [row.predictions for row in rows] == [0] * 9 + [1]
    assert math.isnan(rows[0].right)
    assert expected_calibration_error(rows) == pytest.approx(0.05)


def test_what_is_always_as_sure_as_it_is_right_has_no_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=100_000)
    is_right = rng.uniform(size=100_000) < confidence
    assert expected_calibration_error(reliability(confidence, is_right)) < 0.01
    assert expected_calibration_error(reliability(confidence, ~is_right)) > 0.4


@pytest.mark.parametrize(
    ("confidence", "is_right", "bins"),
    [([0.5], [], 10), ([1.1], [True], 10), ([math.nan], [True], 10), ([0.5], [True], 0)],
)
def test_confidences_that_make_no_sense_are_refused(
    confidence: list[float], is_right: list[bool], bins: int
) -> None:
    with pytest.raises(ArgumentError, match="expected"):
        reliability(np.array(confidence), np.array(is_right, bool), bins)


def test_no_prediction_has_no_error() -> None:
    with pytest.raises(ArgumentError, match="at least one prediction"):
        expected_calibration_error(reliability(np.array([]), np.array([], bool)))
