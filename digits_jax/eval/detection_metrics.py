"""How well detections match the digits of scenes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Num

from digits_jax.data.scenes import Scene
from digits_jax.images.box_iou import box_iou
from digits_jax.runtime.errors import ArgumentError

IOU_THRESHOLD = 0.5  # from which on average precision counts a box as found


@runtime_checkable
class DetectionsLike(Protocol):
    """What was detected in one image: boxes as those of `Scene`, labels 0 to 9, higher is surer."""

    @property
    def boxes_xyxy(self) -> Num[np.ndarray, "m 4"]: ...

    @property
    def labels(self) -> Int[np.ndarray, " m"]: ...

    @property
    def scores(self) -> Float[np.ndarray, " m"]: ...


class DetectionScores(NamedTuple):
    """How well detections match, all 0 to 1 but the two last; never NaN.

    Average precision takes every detection, the others those that reach the least score.
    """

    ap50: float  # mean average precision at IoU 0.5 over the classes that occur, all-point
    ap50_voc07: float  # the same interpolated at 11 recalls, as in VOC 2007
    precision: float  # share of the detections that are right; 1 where there are none
    recall: float  # share of the digits found; 1 where there are none
    f1: float  # harmonic mean of precision and recall; 0 where either is
    right_count: float  # share of the scenes with as many detections as digits
    scenes: int
    digits: int


class PrecisionRecall(NamedTuple):
    """Recall and precision of one class after each detection, by descending score."""

    recall: Float64[np.ndarray, " m"]
    precision: Float64[np.ndarray, " m"]


def score_detections(
    truths: Sequence[Scene], detections: Sequence[DetectionsLike], *, min_score: float
) -> DetectionScores:
    """Scores detections against the digits that are there.

    Average precision goes by `precision_recall`. For precision, recall and F1 a detection is right
    when its centre lies inside a box of its class that no earlier detection took; by descending
    score, each takes the one whose centre is nearest.

    Where no scene has a digit, average precision is 1 if nothing was detected and 0 otherwise.

    Args:
        truths: the scenes; one without digits is fine.
        detections: of each scene, in the same order; they may be none.
        min_score: the least score that counts, except for average precision.

    Raises:
        ValueError: there is no scene, or not one `DetectionsLike` for each.
    """
    _check(truths, detections)
    if not truths:
        raise ArgumentError("there is no scene to score")
    counted = [found.scores >= min_score for found in detections]
    claimed = sum(int(mask.sum()) for mask in counted)
    right = sum(map(_right_centres, truths, detections, counted))
    digits = sum(len(truth.labels) for truth in truths)
    precision = right / claimed if claimed else 1.0
    recall = right / digits if digits else 1.0
    labels = sorted({int(label) for truth in truths for label in truth.labels})
    curves = [precision_recall(truths, detections, label) for label in labels]
    without = float(not any(len(found.scores) for found in detections))  # if no class occurs
    return DetectionScores(
        ap50=float(np.mean([average_precision(curve) for curve in curves] or without)),
        ap50_voc07=float(np.mean([average_precision_voc07(curve) for curve in curves] or without)),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        right_count=float(
            np.mean([mask.sum() == len(t.labels) for t, mask in zip(truths, counted, strict=True)])
        ),
        scenes=len(truths),
        digits=digits,
    )


def precision_recall(
    truths: Sequence[Scene], detections: Sequence[DetectionsLike], label: int
) -> PrecisionRecall:
    """Precision and recall of the detections of one class over all scenes, matched as in VOC.

    By descending score (by order where equal), a detection goes to the box of its class that it
    overlaps most. It is right if their IoU is 0.5 or more and no earlier detection took the box.

    Raises:
        ValueError: there is not one `DetectionsLike` for each scene, or no scene has the class.
    """
    _check(truths, detections)
    digits = sum(int((truth.labels == label).sum()) for truth in truths)
    if not digits:
        raise ArgumentError(f"no scene has a {label}: its recall is not defined")
    mine = [found.labels == label for found in detections]
    scores = [found.scores[mask] for found, mask in zip(detections, mine, strict=True)]
    right = [
        _right_boxes(truth.boxes_xyxy[truth.labels == label], found.boxes_xyxy[mask], own)
        for truth, found, mask, own in zip(truths, detections, mine, scores, strict=True)
    ]
    found = np.cumsum(np.concatenate(right)[_descending(np.concatenate(scores))])
    return PrecisionRecall(found / digits, found / np.arange(1, len(found) + 1))


def average_precision(curve: PrecisionRecall) -> float:
    """Area under the highest precision at each recall or beyond; 0 for an empty curve."""
    return float(np.sum(np.diff(curve.recall, prepend=0) * _highest_from(curve.precision)))


def average_precision_voc07(curve: PrecisionRecall) -> float:
    """Mean of the highest precision at the recalls 0, 0.1, …, 1 or beyond; 0 for an empty curve."""
    # k / 10 is the float nearest to it, as recall is; linspace's 0.3 is the float above.
    first = np.searchsorted(curve.recall, np.arange(11) / 10)
    return float(np.mean(np.append(_highest_from(curve.precision), 0.0)[first]))


def false_per_megapixel(images_pixels: Sequence[int], counts: Sequence[int]) -> float:
    """False detections per 10⁶ pixels of images, given each image's pixels and false detections.

    Raises:
        ValueError: there is no pixel, or not one count for each image.
    """
    if len(images_pixels) != len(counts) or not sum(images_pixels):
        raise ArgumentError(
            f"expected images with pixels and one count for each, got {len(images_pixels)} images "
            f"of {sum(images_pixels)} pixels and {len(counts)} counts"
        )
    return sum(counts) / sum(images_pixels) * 1e6


def _check(truths: Sequence[Scene], detections: Sequence[DetectionsLike]) -> None:
    if len(truths) != len(detections):
        raise ArgumentError(
            f"expected detections of each scene, got {len(detections)} for {len(truths)} scenes"
        )


def _descending(scores: Float[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    return np.argsort(-scores, kind="stable")


def _highest_from(precision: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    return np.maximum.accumulate(precision[::-1])[::-1]


def _right_boxes(
    truth: Num[np.ndarray, "n 4"], found: Num[np.ndarray, "m 4"], scores: Float[np.ndarray, " m"]
) -> Bool[np.ndarray, " m"]:
    # In the order given, not of the scores.
    right = np.zeros(len(found), bool)
    if not len(truth):
        return right
    ious = box_iou(found, truth)
    taken: set[int] = set()
    for k in _descending(scores):
        best = int(ious[k].argmax())
        right[k] = ious[k, best] >= IOU_THRESHOLD and best not in taken
        if right[k]:
            taken.add(best)
    return right


def _right_centres(truth: Scene, found: DetectionsLike, counted: Bool[np.ndarray, " m"]) -> int:
    low, high = truth.boxes_xyxy[:, :2], truth.boxes_xyxy[:, 2:]
    boxes, labels = found.boxes_xyxy[counted], found.labels[counted]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    free = np.ones(len(truth.labels), bool)
    for k in _descending(found.scores[counted]):
        inside = ((low <= centres[k]) & (centres[k] < high)).all(axis=1)
        (candidates,) = np.nonzero(free & inside & (truth.labels == labels[k]))
        if len(candidates):
            apart = centres[k] - (low + high)[candidates] / 2
            free[candidates[(apart**2).sum(axis=1).argmin()]] = False
    return int((~free).sum())
