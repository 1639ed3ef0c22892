"""Calibration: scores from margins."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from candidates import make_candidate

from digits_jax.detect.calibration import (
    calibrate,
    calibrate_scores,
    score_candidates,
    to_search_score,
)
from digits_jax.detect.steps import CalibrationConfig, OddsConfig


def test_odds_are_divided_by_border_contact_and_for_a_1() -> None:
    """A margin of 0.8 has odds of 4: divided by 1, 2 at half contact, 3; and by 5 for a 1."""
    contacts = jnp.array([[0.0, 0.1, 0.2, 1.0, 0.0, 0.2]], jnp.float32)
    labels = jnp.array([[0, 2, 7, 9, 1, 1]])
    margins = jnp.full((1, 6), 0.8, jnp.float32)
    scores = calibrate(labels, margins, contacts, CalibrationConfig())
    np.testing.assert_allclose(scores, [[4 / 5, 2 / 3, 4 / 7, 4 / 7, 4 / 9, 4 / 19]], rtol=1e-6)


def test_margins_of_0_and_1_stay() -> None:
    margins = jnp.array([[0.0, 1.0]], jnp.float32)
    contacts, labels = jnp.ones((1, 2), jnp.float32), jnp.ones((1, 2), int)
    scores = calibrate(labels, margins, contacts, CalibrationConfig())
    np.testing.assert_array_equal(scores, margins)


def test_each_evidence_moves_the_log_odds_by_its_coefficient() -> None:
    """A margin of 0.8 has log-odds of ln 4; components and windows have their own coefficients."""
    probabilities = np.zeros(10, np.float32)
    probabilities[[3, 5]] = 0.9, 0.1
    plain = make_candidate((0, 0, 10, 20), 0.0)._replace(probabilities=probabilities)
    one = plain._replace(probabilities=np.roll(probabilities, -2))
    windows = OddsConfig(0.5, 1.0, -2.0, -3.0, 0.7, -4.0, 0.9, -1.5)
    cases = {
        0.0: plain,
        -2.0: one,
        -1.5: plain._replace(contact=0.1),
        0.7 * math.log(5): plain._replace(votes=5),
        -1.0: plain._replace(strength=0.75),
        0.9 * math.log(0.5): plain._replace(context=np.full(10, 0.5, np.float32)),
        -1.5001: plain._replace(at_edge=True),
    }
    found = [candidate._replace(kind="window") for candidate in cases.values()]
    scores = [
        c.score
        for c in score_candidates([*found, plain], {"component": OddsConfig(), "window": windows})
    ]
    expected = [0.5 * math.log(4) + 1 + moved for moved in cases] + [math.log(4)]
    log_odds = [math.log(score / (1 - score)) for score in scores]
    assert log_odds == pytest.approx(expected, abs=1e-3)


def test_calibrated_scores_are_linear_between_points_and_convert_back() -> None:
    points = ((0.0, 0.0), (0.4, 0.6), (1.0, 1.0))
    scores = np.array([0.0, 0.2, 0.4, 0.7, 1.0], np.float32)
    calibrated = calibrate_scores(scores, points)
    np.testing.assert_allclose(calibrated, [0, 0.3, 0.6, 0.8, 1], rtol=1e-6)
    assert calibrated.dtype == np.float32
    assert [to_search_score(float(s), points) for s in calibrated] == pytest.approx(scores.tolist())
