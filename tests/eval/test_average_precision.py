"""Average precision by pycocotools, against hand-computed values and a plain reference."""

import sys

import numpy as np
import pytest
from detection_cases import FAR, A, B, Box, BoxDetections, C, D, make_detections, make_scene
from hypothesis import given, settings
from hypothesis import strategies as st

from digits_jax.data.scenes import Scene
from digits_jax.eval.detection_metrics import average_precisions, score_detections
from digits_jax.images.box_iou import box_iou
from digits_jax.runtime.errors import DigitsJaxError


def class_ap(truth: Scene, detections: BoxDetections, label: int = 1) -> float:
    return average_precisions([truth], [detections])[label]


def test_average_precision_of_two_classes_by_hand() -> None:
    """The 3s: right at 0.9, wrong at 0.8, right at 0.7, and one never found; the 5 found first.

    For the 3s recall is 1/3, 1/3, 2/3 and precision 1, 1/2, 2/3.
    """
    truths = [make_scene((A, 3), (B, 3)), make_scene((A, 3), (B, 5))]
    detections = [
        make_detections((FAR, 3, 0.8), (A, 3, 0.9)),
        make_detections((B, 5, 0.4), (A, 3, 0.7)),
    ]
    assert average_precisions(truths, detections) == pytest.approx({3: 5 / 9, 5: 1})


@pytest.mark.parametrize(
    ("box", "right"),
    [
        ((0, 0, 10, 5), True),  # IoU 0.5: half of the digit's box
        ((0, 0, 10, 20), True),  # IoU 0.5: twice the digit's box
        ((0, 0, 10, 4.99), False),
        ((0, 0, 10, 20.1), False),
        ((5, 0, 15, 10), False),  # IoU 1/3, with the centre on the edge
    ],
)
def test_average_precision_requires_an_iou_of_one_half(box: Box, right: bool) -> None:
    assert class_ap(make_scene((A, 1)), make_detections((box, 1, 0.5))) == pytest.approx(
        float(right)
    )


def test_a_second_detection_of_one_box_is_wrong() -> None:
    detections = make_detections((A, 1, 0.8), (A, 1, 0.9), (B, 1, 0.7))
    assert class_ap(make_scene((A, 1), (B, 1)), detections) == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_takes_the_free_box_of_highest_iou() -> None:
    shorter, longer = (0, 0, 10, 8), (0, 0, 10, 19)
    truth = make_scene((shorter, 1), (A, 1))
    assert class_ap(truth, make_detections((A, 1, 0.9), (shorter, 1, 0.8))) == pytest.approx(1)
    # The next best box where the best is taken, as in COCO and unlike VOC.
    assert class_ap(truth, make_detections((A, 1, 0.9), (A, 1, 0.8))) == pytest.approx(1)
    # The first takes A, and the second overlaps the other box by less than one half.
    assert class_ap(truth, make_detections((A, 1, 0.9), (longer, 1, 0.8))) == pytest.approx(1 / 2)


def test_detections_of_equal_score_count_in_their_order() -> None:
    truth = make_scene((A, 1))
    assert class_ap(truth, make_detections((FAR, 1, 0.5), (A, 1, 0.5))) == pytest.approx(1 / 2)
    assert class_ap(truth, make_detections((A, 1, 0.5), (FAR, 1, 0.5))) == pytest.approx(1)


def test_average_precision_takes_the_highest_precision_at_each_recall_or_beyond() -> None:
    """Of four digits: wrong, right, right, wrong, right.

    Recall is 0, 1/4, 1/2, 1/2, 3/4 and precision 0, 1/2, 2/3, 2/4, 3/5.
    """
    boxes = (FAR, A, B, FAR, C)
    detections = make_detections(*((box, 1, 0.9 - k / 10) for k, box in enumerate(boxes)))
    expected = (2 / 3 + 2 / 3 + 3 / 5) / 4
    assert class_ap(make_scene(*((box, 1) for box in (A, B, C, D))), detections) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("digits", [*range(1, 12), 49, 93, 107])
def test_average_precision_meets_every_recall_exactly(digits: int) -> None:
    """With a wrong detection after each right one, the k-th right one has precision k / (2k − 1).

    A recall threshold that rounding put over its recall would take the precision of the next.
    """
    truths = [make_scene((A, 1)) for _ in range(digits)]
    detections = [
        make_detections((A, 1, 1 - k / digits / 2), (FAR, 1, 1 - (k + 0.5) / digits / 2))
        for k in range(digits)
    ]
    expected = np.mean([k / (2 * k - 1) for k in range(1, digits + 1)])
    assert average_precisions(truths, detections)[1] == pytest.approx(expected, rel=1e-12)
    for right in range(0, digits, max(1, digits // 5)):
        nothing = [make_detections()] * (digits - right)
        right_alone = [make_detections((A, 1, 0.5))] * right + nothing
        assert average_precisions(truths, right_alone)[1] == pytest.approx(right / digits)


def test_average_precision_ignores_classes_that_do_not_occur() -> None:
    detections = [make_detections((A, 1, 0.9), (B, 2, 0.95))]
    assert average_precisions([make_scene((A, 1))], detections) == pytest.approx({1: 1})
    scores = score_detections([make_scene((A, 1))], detections, min_score=0.0)
    assert scores.ap50 == pytest.approx(1)
    assert scores.precision == 1 / 2


def test_average_precision_of_scenes_without_digits_or_without_detections() -> None:
    truth, detected = make_scene((A, 1)), make_detections((A, 1, 0.9))
    empty, nothing = make_scene(), make_detections()
    assert average_precisions([], []) == {}
    assert average_precisions([empty, empty], [nothing, detected]) == {}
    assert average_precisions([truth, empty], [nothing, nothing]) == {1: 0}
    assert average_precisions([empty, truth], [nothing, detected]) == pytest.approx({1: 1})
    assert average_precisions([empty, truth], [detected, detected]) == {1: 1 / 2}


def test_average_precision_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    average_precisions([make_scene((A, 1))], [make_detections((A, 1, 0.9))])
    assert capfd.readouterr() == ("", "")


def test_average_precision_without_pycocotools_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(DigitsJaxError, match=r"pip install 'digits-jax\[eval\]'"):
        score_detections([make_scene((A, 1))], [make_detections((A, 1, 0.9))], min_score=0.0)


@st.composite
def scenes_with_detections(draw: st.DrawFn) -> tuple[list[Scene], list[BoxDetections]]:
    """Draws digits in cells of a grid, and detections near them or anywhere.

    No detection overlaps two digits by one half, and no two scores are equal.
    """
    offset = st.integers(-8, 8)
    cells = [(30 * k % 90, 30 * (k // 3)) for k in range(9)]
    truths, placed = [], []
    for _ in range(draw(st.integers(1, 4))):
        corners = draw(st.lists(st.sampled_from(cells), unique=True, max_size=5))
        labels = [draw(st.integers(0, 2)) for _ in corners]
        digits = [(x, y, label) for (x, y), label in zip(corners, labels, strict=True)]
        truths.append(make_scene(*(((x, y, x + 20, y + 20), label) for x, y, label in digits)))
        anywhere = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 2))
        near = st.sampled_from(digits) | anywhere if digits else anywhere
        placed.append(
            [
                ((x + draw(offset), y + draw(offset), x + 20 + draw(offset), y + 20), label)
                for x, y, label in draw(st.lists(near, max_size=8))
            ]
        )
    ranks = iter(draw(st.permutations(range(sum(map(len, placed))))))
    detections = [make_detections(*((*row, next(ranks) / 64) for row in rows)) for rows in placed]
    return truths, detections


def reference_ap(truths: list[Scene], detections: list[BoxDetections], label: int) -> float:
    """Computes the area under one class's precision-recall curve step by step."""
    ranked = sorted(
        (
            (-score, scene, box)
            for scene, found in enumerate(detections)
            for box, its_label, score in zip(*found, strict=True)
            if its_label == label
        ),
        key=lambda row: row[0],
    )
    free = {scene: list(t.boxes_xyxy[t.labels == label]) for scene, t in enumerate(truths)}
    digits = sum(map(len, free.values()))
    right, precisions = 0, []  # at each step of recall
    for rank, (_, scene, box) in enumerate(ranked, start=1):
        ious = [float(box_iou(box[None], truth[None])[0, 0]) for truth in free[scene]]
        if ious and max(ious) >= 0.5:
            free[scene].pop(ious.index(max(ious)))
            right += 1
            precisions.append(right / rank)
    return sum(max(precisions[k:]) for k in range(right)) / digits


@settings(max_examples=150, deadline=None)
@given(scenes_with_detections())
def test_average_precision_is_the_area_under_the_precision_recall_curve(
    drawn: tuple[list[Scene], list[BoxDetections]],
) -> None:
    truths, detections = drawn
    labels = {int(label) for truth in truths for label in truth.labels}
    expected = {label: reference_ap(truths, detections, label) for label in labels}
    assert average_precisions(truths, detections) == pytest.approx(expected, abs=1e-9)
