"""Suppression and calibration together: which candidates are detections, and their scores.

Each candidate is given, by descending priority, by its window's x, y and side, its margin and its
border contact.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from candidate_windows import square_windows

from digits_jax.detect.calibration import to_search_score
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.peaks import Candidates
from digits_jax.detect.pipeline import suppress_and_calibrate

MIN_SCORE = to_search_score(DEFAULT_CONFIG.min_score, DEFAULT_CONFIG.reliability)
PART, WHOLE = (50.0, 50.0, 20.0, 0.9, 0.2), (52.0, 50.0, 28.0, 0.6, 0.0)


def scores_of(*candidates: tuple[float, ...], min_score: float) -> dict[int, float]:
    """Returns the index and the score of each candidate that is a detection, in order."""
    _, _, _, margins, contacts = np.array(candidates, np.float32).T
    batch = Candidates(
        square_windows(*candidates)[None],
        2 + jnp.arange(len(candidates))[None],  # no 1s
        jnp.asarray(margins)[None],
        jnp.asarray(contacts)[None],
        jnp.linspace(1, 0.5, len(candidates), dtype=jnp.float32)[None],
        jnp.array([False]),
    )
    result = suppress_and_calibrate(batch, min_score, DetectorConfig())
    detected = np.asarray(result.priority[0]) >= 0
    np.testing.assert_array_equal(result.priority[0][detected], result.scores[0][detected])
    scores = np.asarray(result.scores[0])[detected].tolist()
    indices = (np.asarray(result.labels[0])[detected] - 2).tolist()
    return dict(zip(indices, scores, strict=True))


def test_a_whole_digit_is_kept_where_its_part_is_suppressed() -> None:
    assert scores_of(PART, WHOLE, min_score=0.3) == pytest.approx({1: 0.6})
    assert scores_of(PART, WHOLE, min_score=0.7) == {}  # the part does not come back
    assert scores_of(PART, min_score=0.3) == pytest.approx({0: 0.75})  # odds of 9 become 3


def test_detections_are_in_the_order_of_their_calibrated_scores() -> None:
    """Priority, margin and score each put another one first."""
    apart = (20, 20, 28, 0.8, 0.0), (90, 20, 28, 0.9, 0.2), (20, 90, 28, 0.85, 0.05)
    scores = scores_of(*apart, min_score=0.3)
    assert list(scores) == [0, 2, 1]
    assert list(scores.values()) == pytest.approx([0.8, 0.85 / (0.85 + 0.15 * 1.5), 0.75])


def test_a_candidate_below_the_threshold_suppresses_others_all_the_same() -> None:
    uncertain, other = (50, 50, 28, 0.6, 0.2), (55, 50, 28, 0.5, 0.0)
    assert scores_of(uncertain, other, min_score=0.3) == pytest.approx({0: 1 / 3})
    assert scores_of(uncertain, other, min_score=0.4) == {}


def test_an_overlapping_detection_has_a_score_below_the_default_threshold() -> None:
    """Its centre is 5.6 px off at least, or its side half as large again."""
    best = (50, 50, 28, 0.9, 0.0)
    for other in ((56, 50, 28, 1.0, 0.0), (50, 50, 43, 1.0, 0.0)):
        assert scores_of(best, other, min_score=0.01) == pytest.approx({0: 0.9, 1: 0.29})
        assert scores_of(best, other, min_score=MIN_SCORE) == pytest.approx({0: 0.9})
    for same in ((55, 50, 28, 1.0, 0.0), (50, 50, 41, 1.0, 0.0)):
        assert scores_of(best, same, min_score=0.01) == pytest.approx({0: 0.9})
    third = (56.5, 50, 28, 1.0, 0.0)  # within the narrow radius of the second
    second = (56, 50, 28, 0.5, 0.0)
    scores = scores_of(best, second, third, min_score=0.01)
    assert scores == pytest.approx({0: 0.9, 1: 0.145})


def test_an_overlapping_detection_suppresses_no_kept_one() -> None:
    """The second overlaps the first, and would suppress the third."""
    first, second, third = (50, 50, 28, 0.9, 0.0), (61, 50, 28, 0.8, 0.0), (66, 50, 28, 0.7, 0.0)
    scores = scores_of(first, second, third, min_score=0.01)
    assert scores == pytest.approx({0: 0.9, 2: 0.7, 1: 0.8 * 0.29})
    assert list(scores) == [0, 2, 1]


def test_suppressed_parts_are_not_detected_at_any_threshold() -> None:
    assert scores_of(PART, WHOLE, min_score=0.01) == pytest.approx({1: 0.6})
