"""Precision, recall, F1 and count accuracy, against hand-computed values."""

import numpy as np
import pytest
from detection_cases import FAR, A, B, BoxDetections, make_detections, make_scene

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import SCENE_DATASETS, compose
from digits_jax.eval.detection_metrics import (
    are_right,
    average_precisions,
    false_per_megapixel,
    score_detections,
)
from digits_jax.runtime.errors import ArgumentError


def test_metrics_of_two_scenes_by_hand() -> None:
    truths = [make_scene((A, 3), (B, 3)), make_scene((A, 3), (B, 5))]
    detections = [
        make_detections((FAR, 3, 0.8), (A, 3, 0.9)),
        make_detections((B, 5, 0.4), (A, 3, 0.7)),
    ]
    scores = score_detections(truths, detections, min_score=0.5)
    assert scores.ap50 == pytest.approx((5 / 9 + 1) / 2)
    assert scores.precision == pytest.approx(2 / 3)  # the 5 is under the threshold
    assert scores.recall == pytest.approx(2 / 4)
    assert scores.f1 == pytest.approx(4 / 7)
    assert scores.count_accuracy == 1 / 2  # two of two digits, one of two
    assert (scores.scenes, scores.digits) == (2, 4)


def test_the_surest_detection_of_a_digit_is_right_and_the_others_are_not() -> None:
    truth = make_scene((A, 3), (B, 5))
    detections = make_detections((A, 3, 0.2), (A, 3, 0.9), (A, 5, 1.0), (B, 5, 0.1), (FAR, 3, 0.8))
    assert are_right(truth, detections).tolist() == [False, True, False, True, False]
    assert are_right(truth, make_detections()).tolist() == []


def test_a_detection_whose_score_equals_the_threshold_counts() -> None:
    truths = [make_scene((A, 3), (B, 5))]
    detections = [make_detections((A, 3, 0.7), (B, 5, 0.4))]
    threshold = float(np.float32(0.4))
    assert score_detections(truths, detections, min_score=threshold).count_accuracy == 1
    assert score_detections(truths, detections, min_score=threshold + 1e-6).count_accuracy == 0


def test_boxes_are_matched_within_their_scene() -> None:
    truths = [make_scene((A, 1)), make_scene((B, 1))]
    detections = [make_detections((B, 1, 0.9)), make_detections((A, 1, 0.9))]
    assert score_detections(truths, detections, min_score=0.0)[:5] == (0, 0, 0, 0, 1)


def test_a_detection_of_another_class_is_wrong() -> None:
    scores = score_detections([make_scene((A, 1))], [make_detections((A, 2, 0.9))], min_score=0.0)
    assert scores[:5] == (0, 0, 0, 0, 1)


def test_a_centre_inside_takes_the_box_with_the_nearest_centre() -> None:
    large, small = (0, 0, 40, 40), (0, 0, 20, 20)  # centres (20, 20) and (10, 10)

    def recall(*centres: tuple[float, float], label: int = 1) -> float:
        boxes = [
            ((x - 1, y - 1, x + 1, y + 1), label, 1 - k / 10) for k, (x, y) in enumerate(centres)
        ]
        truth = make_scene((large, 1), (small, 1))
        return score_detections([truth], [make_detections(*boxes)], min_score=0.0).recall

    assert recall((12, 12), (30, 30)) == 1  # the first takes the small one
    assert recall((18, 18), (30, 30)) == 1 / 2  # the first takes the large one
    assert recall((18, 18), (12, 12)) == 1
    assert recall((12, 12), (13, 13)) == 1  # the second takes the large one, which is still free
    assert recall((12, 12), (13, 13), (14, 14)) == 1
    assert recall((0, 0)) == 1 / 2
    assert recall((40, 30)) == 0  # the far edges are outside
    assert recall((30, 40)) == 0
    assert recall((-0.5, 5)) == 0
    assert recall((12, 12), label=2) == 0


def test_the_detection_of_highest_score_takes_its_box_first_in_any_order() -> None:
    truths = [make_scene(((0, 0, 40, 40), 1), ((0, 0, 20, 20), 1))]
    sure, unsure = ((17, 17, 19, 19), 1, 0.9), ((29, 29, 31, 31), 1, 0.1)
    for detections in [make_detections(sure, unsure), make_detections(unsure, sure)]:
        assert score_detections(truths, [detections], min_score=0.0).recall == 1 / 2


def test_metrics_without_digits_or_without_detections() -> None:
    empty, nothing = make_scene(), make_detections()
    truth, found = make_scene((A, 1)), make_detections((A, 1, 0.9))
    assert score_detections([empty], [nothing], min_score=0.0) == (1, 1, 1, 1, 1, 1, 0)
    assert score_detections([empty], [found], min_score=0.0) == (0, 0, 1, 0, 0, 1, 0)
    assert score_detections([truth], [nothing], min_score=0.0) == (0, 1, 0, 0, 0, 1, 1)
    under_threshold = score_detections([truth], [found], min_score=0.95)
    assert under_threshold == pytest.approx((1, 1, 0, 0, 0, 1, 1))
    half = score_detections([truth, empty], [found, found], min_score=0.0)
    assert half[:5] == pytest.approx((1, 1 / 2, 1, 2 / 3, 1 / 2))


@pytest.mark.parametrize("dataset", SCENE_DATASETS)
def test_the_labels_and_boxes_of_the_scenes_themselves_are_perfect(
    dataset: str, mnist: Mnist
) -> None:
    truths = compose(dataset, "test", 10, 0, mnist=mnist)
    rng = np.random.default_rng(0)
    detections = [
        BoxDetections(boxes.astype(np.float32), labels, rng.uniform(size=len(labels)))
        for _, boxes, labels in truths
    ]
    scores = score_detections(truths, detections, min_score=0.0)
    assert scores[:5] == pytest.approx((1, 1, 1, 1, 1))
    assert scores.digits == sum(len(labels) for _, _, labels in truths)


def test_missing_detections_and_missing_scenes_are_refused() -> None:
    for metric in (lambda *a: score_detections(*a, min_score=0.0), average_precisions):
        with pytest.raises(ArgumentError, match="got 1 for 2 scenes"):
            metric([make_scene(), make_scene()], [make_detections()])
    with pytest.raises(ArgumentError, match="expected scenes to score; got none"):
        score_detections([], [], min_score=0.0)


def test_false_detections_are_divided_by_the_megapixels_of_all_images() -> None:
    assert false_per_megapixel([500_000, 1_500_000], [1, 4]) == 2.5
    for pixels, counts in [([], []), ([0], [3]), ([10], [1, 2])]:
        with pytest.raises(ArgumentError, match="one count for each"):
            false_per_megapixel(pixels, counts)
