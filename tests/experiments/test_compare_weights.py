"""Which weights are better: F1 of the same scenes, and how sure their difference is."""

import numpy as np
import pytest

from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.detections import Detections
from experiments.studies.compare_weights import Counts, compare_f1, count_right, f1


def read(scene: Scene, *, wrong: int) -> Detections:
    """Returns the digits of a scene, some of them with another label."""
    labels = np.asarray(scene.labels, np.int32).copy()
    labels[:wrong] = (labels[:wrong] + 1) % 10
    boxes = np.asarray(scene.boxes_xyxy, np.int32)
    scores = np.ones(len(labels), np.float32)
    return Detections(boxes, boxes, labels, scores, truncated=False)


def test_the_right_detections_of_each_scene_are_counted() -> None:
    scenes = compose("native", "validation", 2, seed=0)
    counts = count_right(scenes, [read(scenes[0], wrong=0), read(scenes[1], wrong=2)])
    digits = [len(scene.labels) for scene in scenes]
    assert counts.digits.tolist() == counts.detections.tolist() == digits
    assert counts.right.tolist() == [digits[0], digits[1] - 2]


def test_f1_is_that_of_all_scenes_together() -> None:
    """2 · 9 right ÷ (10 detections + 12 digits)."""
    counts = Counts(np.array([4.0, 5.0]), np.array([4.0, 6.0]), np.array([6.0, 6.0]))
    assert f1(counts) == pytest.approx(18 / 22)


def test_the_error_of_a_difference_is_that_of_the_scenes_in_which_two_differ() -> None:
    """Scenes of one digit that both miss add to the error of F1, and nothing to the difference's.

    Of 400 scenes, each misses 100; in another 40 the second finds a digit that the first does not.
    With as many detections as digits, F1 is the share that is right, and the error of a share of
    0.1 among 400 is √(0.1 · 0.9 / 400).
    """
    digits = np.ones(400)
    first = np.where(np.arange(400) < 140, 0.0, 1.0)
    second = np.where(np.arange(400) < 100, 0.0, 1.0)
    difference, error = compare_f1(Counts(second, digits, digits), Counts(first, digits, digits))
    assert difference == pytest.approx(0.1)
    assert error == pytest.approx((0.1 * 0.9 / 400) ** 0.5, rel=0.1)
    assert compare_f1(Counts(first, digits, digits), Counts(first, digits, digits)) == (0, 0)
