from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import SCENE_DATASETS, Scene, compose
from digits_jax.eval.detection_metrics import (
    PrecisionRecall,
    average_precision,
    average_precision_voc07,
    false_per_megapixel,
    precision_recall,
    score_detections,
)


class Detected(NamedTuple):
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


Box = tuple[float, float, float, float]


def scene(*digits: tuple[Box, int]) -> Scene:
    boxes = np.array([box for box, _ in digits], np.int64).reshape(-1, 4)
    labels = np.array([label for _, label in digits], np.int64)
    return Scene(np.zeros((100, 100), np.uint8), boxes, labels)


def detected(*found: tuple[Box, int, float]) -> Detected:
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    labels = np.array([label for _, label, _ in found], np.int64)
    return Detected(boxes, labels, np.array([score for _, _, score in found], np.float32))


A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
FAR = (80, 80, 90, 90)


def test_scores_by_hand() -> None:
    """Two scenes, two classes.

    The 3s: right at 0.9, wrong at 0.8, right at 0.7, and one never found. Recall is 1/3, 1/3, 2/3,
    precision 1, 1/2, 2/3. The 5: found first.
    """
    truths = [scene((A, 3), (B, 3)), scene((A, 3), (B, 5))]
    found = [
        detected((FAR, 3, 0.8), (A, 3, 0.9)),
        detected((B, 5, 0.4), (A, 3, 0.7)),
    ]
    curve = precision_recall(truths, found, 3)
    np.testing.assert_allclose(curve.recall, [1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    scores = score_detections(truths, found, min_score=0.5)
    assert scores.ap50 == pytest.approx((5 / 9 + 1) / 2)
    assert scores.ap50_voc07 == pytest.approx(((4 + 3 * 2 / 3) / 11 + 1) / 2)
    assert scores.precision == pytest.approx(2 / 3)  # the 5 does not reach the least score
    assert scores.recall == pytest.approx(2 / 4)
    assert scores.f1 == pytest.approx(4 / 7)
    assert scores.right_count == 1 / 2  # two and two, one and two
    assert (scores.scenes, scores.digits) == (2, 4)
    assert (
        score_detections(truths, found, min_score=0.4).right_count == 1
    )  # a score that reaches it counts


@pytest.mark.parametrize(
    ("box", "right"),
    [
        ((0, 0, 10, 5), True),  # half of it
        ((0, 0, 10, 20), True),  # twice
        ((0, 0, 10, 4.99), False),
        ((0, 0, 10, 20.1), False),
        ((5, 0, 15, 10), False),  # 50 of 150, the centre on the edge
    ],
)
def test_average_precision_asks_for_half_the_union(box: Box, right: bool) -> None:
    scores = score_detections([scene((A, 1))], [detected((box, 1, 0.5))], min_score=0.0)
    assert scores.ap50 == scores.ap50_voc07 == right


def test_a_box_is_found_once() -> None:
    curve = precision_recall([scene((A, 1))], [detected((A, 1, 0.2), (A, 1, 0.9))], 1)
    assert curve.recall.tolist() == [1, 1]
    assert curve.precision.tolist() == [1, 1 / 2]


def test_a_detection_goes_to_the_box_it_overlaps_most() -> None:
    """As in VOC: not to the next best, where another has taken it."""
    near = (0, 0, 10, 8)
    truths = [scene((near, 1), (A, 1))]
    curve = precision_recall(truths, [detected((A, 1, 0.9), (A, 1, 0.8))], 1)
    assert curve.recall.tolist() == [1 / 2, 1 / 2]
    curve = precision_recall(truths, [detected((A, 1, 0.9), (near, 1, 0.8))], 1)
    assert curve.recall.tolist() == [1 / 2, 1]


def test_boxes_are_matched_within_their_scene() -> None:
    truths = [scene((A, 1)), scene((B, 1))]
    scores = score_detections(truths, [detected((B, 1, 0.9)), detected((A, 1, 0.9))], min_score=0.0)
    assert scores[:6] == (0, 0, 0, 0, 0, 1)


def test_another_class_is_wrong() -> None:
    scores = score_detections([scene((A, 1))], [detected((A, 2, 0.9))], min_score=0.0)
    assert scores[:6] == (0, 0, 0, 0, 0, 1)


def test_classes_that_do_not_occur_have_no_average_precision() -> None:
    scores = score_detections([scene((A, 1))], [detected((A, 1, 0.9), (B, 2, 0.95))], min_score=0.0)
    assert scores.ap50 == scores.ap50_voc07 == 1
    assert scores.precision == 1 / 2


def test_eleven_recalls_are_met_exactly() -> None:
    """With 10 digits recall 0.3 is 3 / 10, which some ways to count to 0.3 overshoot."""
    for right in range(11):
        curve = PrecisionRecall(np.arange(1, right + 1) / 10, np.ones(right))
        expected = (right + 1) / 11 if right else 0
        assert average_precision_voc07(curve) == pytest.approx(expected)
        assert average_precision(curve) == pytest.approx(right / 10)


def test_precision_is_the_highest_at_that_recall_or_beyond() -> None:
    curve = PrecisionRecall(
        np.array([0, 0.25, 0.5, 0.5, 0.75]), np.array([0, 1 / 2, 2 / 3, 2 / 4, 3 / 5])
    )
    assert average_precision(curve) == pytest.approx(0.5 * 2 / 3 + 0.25 * 3 / 5)
    # 0 to 0.5 at 2/3, 0.6 and 0.7 at 3/5
    assert average_precision_voc07(curve) == pytest.approx((6 * 2 / 3 + 2 * 3 / 5) / 11)


def test_a_centre_inside_is_right_and_takes_the_nearest_box() -> None:
    large, small = (0, 0, 40, 40), (0, 0, 20, 20)  # centres (20, 20) and (10, 10)

    def found(*centres: tuple[float, float], label: int = 1) -> float:
        boxes = [
            ((x - 1, y - 1, x + 1, y + 1), label, 1 - k / 10) for k, (x, y) in enumerate(centres)
        ]
        return score_detections(
            [scene((large, 1), (small, 1))], [detected(*boxes)], min_score=0.0
        ).recall

    assert found((12, 12), (30, 30)) == 1  # the first takes the small one
    assert found((18, 18), (30, 30)) == 1 / 2  # the first takes the large one
    assert found((18, 18), (12, 12)) == 1
    assert found((12, 12), (13, 13)) == 1  # the nearest of those that are left
    assert found((12, 12), (13, 13), (14, 14)) == 1
    assert found((0, 0)) == 1 / 2
    assert found((40, 30)) == 0  # the far edge is outside
    assert found((30, 40)) == 0
    assert found((-0.5, 5)) == 0
    assert found((12, 12), label=2) == 0


def test_the_surest_takes_its_box_first() -> None:
    """Whatever the order in which they are given."""
    truths = [scene(((0, 0, 40, 40), 1), ((0, 0, 20, 20), 1))]
    sure, unsure = ((17, 17, 19, 19), 1, 0.9), ((29, 29, 31, 31), 1, 0.1)
    for found in [detected(sure, unsure), detected(unsure, sure)]:
        assert score_detections(truths, [found], min_score=0.0).recall == 1 / 2


def test_nothing_detected_and_nothing_there() -> None:
    empty, none = scene(), detected()
    some, found = scene((A, 1)), detected((A, 1, 0.9))
    assert score_detections([empty], [none], min_score=0.0) == (1, 1, 1, 1, 1, 1, 1, 0)
    assert score_detections([empty], [found], min_score=0.0) == (0, 0, 0, 1, 0, 0, 1, 0)
    assert score_detections([some], [none], min_score=0.0) == (0, 0, 1, 0, 0, 0, 1, 1)
    assert score_detections([some], [found], min_score=0.95) == (1, 1, 1, 0, 0, 0, 1, 1)
    half = score_detections([some, empty], [found, found], min_score=0.0)
    assert half[:6] == pytest.approx((1, 1, 1 / 2, 1, 2 / 3, 1 / 2))


@pytest.mark.parametrize("family", SCENE_DATASETS)
def test_the_truth_itself_is_perfect(family: str, mnist: Mnist) -> None:
    truths = compose(family, "test", 10, 0, mnist=mnist)
    rng = np.random.default_rng(0)
    found = [
        Detected(boxes.astype(np.float32), labels, rng.uniform(size=len(labels)))
        for _, boxes, labels in truths
    ]
    scores = score_detections(truths, found, min_score=0.0)
    assert scores[:6] == pytest.approx((1, 1, 1, 1, 1, 1))
    assert scores.digits == sum(len(labels) for _, _, labels in truths)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match="got 1 for 2 scenes"):
        score_detections([scene(), scene()], [detected()], min_score=0.0)
    with pytest.raises(ValueError, match="got 1 for 2 scenes"):
        precision_recall([scene(), scene()], [detected()], 0)
    with pytest.raises(ValueError, match="no scene to score"):
        score_detections([], [], min_score=0.0)
    with pytest.raises(ValueError, match="no scene has a 4"):
        precision_recall([scene((A, 1))], [detected()], 4)


def test_false_per_megapixel() -> None:
    assert false_per_megapixel([500_000, 1_500_000], [1, 4]) == 2.5
    for pixels, counts in [([], []), ([0], [3]), ([10], [1, 2])]:
        with pytest.raises(ValueError, match="one count for each"):
            false_per_megapixel(pixels, counts)


@st.composite
def images(draw: st.DrawFn) -> tuple[list[Scene], list[Detected]]:
    """Digits in cells of a grid, so that no detection overlaps two by half.

    There VOC's and COCO's matching are the same. Detections are digits moved a little, or anywhere.
    """
    amount = st.integers(-8, 8)
    cells = [(30 * k % 90, 30 * (k // 3)) for k in range(9)]
    truths, placed = [], []
    for _ in range(draw(st.integers(1, 4))):
        corners = draw(st.lists(st.sampled_from(cells), unique=True, max_size=5))
        labels = [draw(st.integers(0, 2)) for _ in corners]
        near = [(x, y, k) for (x, y), k in zip(corners, labels, strict=True)]
        truths.append(scene(*(((x, y, x + 20, y + 20), k) for x, y, k in near)))
        anywhere = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 2))
        found = draw(st.lists(st.sampled_from(near) | anywhere if near else anywhere, max_size=8))
        placed.append(
            [
                ((x + draw(amount), y + draw(amount), x + 20 + draw(amount), y + 20), k)
                for x, y, k in found
            ]
        )
    order = iter(draw(st.permutations(range(sum(map(len, placed))))))  # no ties
    return truths, [detected(*((*one, next(order) / 64) for one in found)) for found in placed]


def coco_average_precision(truths: list[Scene], found: list[Detected]) -> list[float]:
    """Of the classes 0 to 2 at IoU 0.5 and 101 recalls; −1 for a class that does not occur."""

    def xywh(boxes: np.ndarray) -> list[list[float]]:
        return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).astype(float).tolist()

    there = [
        {"image_id": k, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for k, truth in enumerate(truths)
        for box, label in zip(xywh(truth.boxes_xyxy), truth.labels.tolist(), strict=True)
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": k} for k in range(len(truths))],
        "categories": [{"id": label} for label in range(3)],
        "annotations": [one | {"id": k} for k, one in enumerate(there, start=1)],
    }
    coco.createIndex()
    claims = [
        {"image_id": k, "category_id": label, "bbox": box, "score": float(sure)}
        for k, one in enumerate(found)
        for box, label, sure in zip(
            xywh(one.boxes_xyxy), one.labels.tolist(), one.scores, strict=True
        )
    ]
    run = COCOeval(coco, coco.loadRes(claims) if claims else COCO(), "bbox")
    run.params.iouThrs = np.array([0.5])
    run.params.imgIds = list(range(len(truths)))
    run.evaluate()
    run.accumulate()
    precision = run.eval["precision"][0, :, :, 0, -1]  # [101, class], boxes of any area
    averages: list[float] = precision.mean(axis=0).tolist()
    return averages


@settings(max_examples=150, deadline=None)
@given(images())
def test_average_precision_agrees_with_coco(drawn: tuple[list[Scene], list[Detected]]) -> None:
    truths, found = drawn
    expected = coco_average_precision(truths, found)
    occur = {int(label) for truth in truths for label in truth.labels}
    assert [average >= 0 for average in expected] == [label in occur for label in range(3)]
    for label in occur:
        recall, precision = precision_recall(truths, found, label)
        highest = [max(precision[recall >= k / 100], default=0.0) for k in range(101)]
        assert np.mean(highest) == pytest.approx(expected[label], abs=1e-6)
