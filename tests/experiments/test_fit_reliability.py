"""The fit of the share of detections that are right, by score."""

from itertools import pairwise

import numpy as np
import pytest

from digits_jax.detect.calibration import calibrate_scores
from digits_jax.detect.config import DetectorConfig
from experiments.common.fit_reliability import fit_points, without_reliability


def test_the_fit_finds_the_share_that_is_right_at_each_score() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=200_000)
    points = fit_points(scores, rng.uniform(size=200_000) < np.sqrt(scores))
    some = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    np.testing.assert_allclose(calibrate_scores(some, points), np.sqrt(some), atol=0.02)
    DetectorConfig(reliability=points)  # accepted


def test_shares_that_fall_are_pooled_and_rise_a_little() -> None:
    scores = np.array([0.25] * 4 + [0.35] * 4 + [0.97])
    rights = np.array([True, True, True, False, True, False, False, False, True])
    points = fit_points(scores, rights)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(points))
    assert points[1] == pytest.approx((0.25, 0.5))
    assert points[2] == pytest.approx((0.35, 0.501))
    assert points[3] == pytest.approx((0.97, 0.999))  # below the last point, (1, 1)
    DetectorConfig(reliability=points)


def test_without_it_thresholds_are_those_of_the_search() -> None:
    points = ((0.0, 0.0), (0.4, 0.6), (1.0, 1.0))
    config = without_reliability(
        DetectorConfig(reliability=points, min_score=0.3, photo_min_score=0.8)
    )
    assert config.reliability == ((0, 0), (1, 1))
    assert (config.min_score, config.photo_min_score) == (0.2, 0.7)
