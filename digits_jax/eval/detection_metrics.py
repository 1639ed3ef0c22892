"""Average precision, precision, recall, F1 and count accuracy of detections in labelled scenes."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from digits_jax.data.scenes import Scene
from digits_jax.runtime.errors import ArgumentError, DigitsJaxError

IOU_THRESHOLD = 0.5  # the lowest IoU of a right detection in average precision
AP_MIN_SCORE = 0.01  # the score threshold of detections for average precision, which needs low ones


@runtime_checkable
class DetectionsLike(Protocol):
    """The detections in one image.

    `boxes_xyxy` are in the format of `Scene`. `labels` are 0 to 9. A higher score is more certain.
    """

    @property
    def boxes_xyxy(self) -> Num[np.ndarray, "m 4"]: ...

    @property
    def labels(self) -> Int[np.ndarray, " m"]: ...

    @property
    def scores(self) -> Float[np.ndarray, " m"]: ...


class DetectionScores(NamedTuple):
    """The metrics of detections in scenes. The first five are shares from 0 to 1, never NaN.

    `ap50` takes every detection. The other metrics take the detections that reach the score
    threshold.
    """

    ap50: float  # average precision at IoU 0.5, averaged over the classes that occur
    precision: float  # share of the detections that are right; 1 without detections
    recall: float  # share of the digits that are found; 1 without digits
    f1: float  # harmonic mean of precision and recall; 0 where both are 0
    count_accuracy: float  # share of the scenes with as many detections as digits
    scenes: int  # number of scenes
    digits: int  # number of digits in all scenes


def score_detections(
    truths: Sequence[Scene], detections: Sequence[DetectionsLike], *, min_score: float
) -> DetectionScores:
    """Scores detections against the digits of labelled scenes.

    `are_right` defines precision, recall and F1, and `average_precisions` average precision. Where
    no scene has a digit, average precision is 1 without detections and 0 otherwise.

    Args:
      truths: the scenes with their boxes and labels; a scene may have no digit.
      detections: the detections of each scene, in the order of `truths`; they may be empty.
      min_score: the score threshold of all metrics except average precision.

    Returns:
      The metrics over all scenes.

    Raises:
      ArgumentError: there is no scene, or the numbers of scenes and of detections differ.
      DigitsJaxError: pycocotools is not installed.
    """
    _check_lengths(truths, detections)
    if not truths:
        raise ArgumentError("expected scenes to score; got none; give at least one")
    over_threshold = [image.scores >= min_score for image in detections]
    counts = [int(mask.sum()) for mask in over_threshold]
    true_positives = sum(
        int((are_right(truth, image) & reached).sum())
        for truth, image, reached in zip(truths, detections, over_threshold, strict=True)
    )
    digits = sum(len(truth.labels) for truth in truths)
    precision = true_positives / sum(counts) if sum(counts) else 1.0
    recall = true_positives / digits if digits else 1.0
    if digits:
        ap50 = float(np.mean([*average_precisions(truths, detections).values()]))
    else:
        ap50 = float(not any(len(image.scores) for image in detections))
    return DetectionScores(
        ap50=ap50,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        count_accuracy=float(
            np.mean([len(t.labels) == count for t, count in zip(truths, counts, strict=True)])
        ),
        scenes=len(truths),
        digits=digits,
    )


def are_right(truth: Scene, detections: DetectionsLike) -> Bool[np.ndarray, " m"]:
    """Returns which detections are right.

    Detections are matched by descending score. A detection is right if its centre lies inside a box
    of its class that no earlier detection has taken. It takes the box with the nearest centre.

    Args:
      truth: the scene with its boxes and labels.
      detections: the detections in it; they may be empty.
    """
    low, high = truth.boxes_xyxy[:, :2], truth.boxes_xyxy[:, 2:]
    boxes = detections.boxes_xyxy
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    free = np.ones(len(truth.labels), bool)
    right = np.zeros(len(boxes), bool)
    for k in np.argsort(-detections.scores, kind="stable"):
        inside = ((low <= centres[k]) & (centres[k] < high)).all(axis=1)
        (candidates,) = np.nonzero(free & inside & (truth.labels == detections.labels[k]))
        if len(candidates):
            offsets = centres[k] - (low + high)[candidates] / 2
            free[candidates[(offsets**2).sum(axis=1).argmin()]] = False
            right[k] = True
    return right


def average_precisions(
    truths: Sequence[Scene], detections: Sequence[DetectionsLike]
) -> dict[int, float]:
    """Computes each class's average precision at IoU 0.5 over all scenes, with pycocotools.

    Average precision is the area under the precision-recall curve, `AP = mean_k max_{r ≥ k/n} p(r)`
    for k = 1 … n, where p(r) is the precision at recall r and n is the number of the class's
    digits. Recall rises in steps of 1/n, so that this mean over n recall thresholds is the exact
    area ("all-point" average precision), and not COCO's approximation by 101 thresholds.

    Detections are matched as in COCO. By descending score (by order where scores are equal), a
    detection takes the box of its class with the highest IoU among those that are still free. It
    is right if that IoU is at least 0.5.

    Args:
      truths: the scenes with their boxes and labels.
      detections: the detections of each scene, in the order of `truths`.

    Returns:
      The average precision, 0 to 1, of every class that occurs in the scenes, by label.

    Raises:
      ArgumentError: the numbers of scenes and of detections differ.
      DigitsJaxError: pycocotools is not installed.

    References:
      Lin et al., Microsoft COCO: Common Objects in Context, 2014; the evaluation code is cocoapi's.
    """
    check_pycocotools()
    from pycocotools.cocoeval import COCOeval

    _check_lengths(truths, detections)
    all_labels = np.concatenate([truth.labels for truth in truths] or [np.zeros(0, np.int64)])
    labels, digits = np.unique(all_labels, return_counts=True)
    precisions = {}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth_index = _coco_index(len(truths), _truth_annotations(truths))
        detection_index = _coco_index(len(truths), _detection_annotations(detections))
        for label, count in zip(labels.tolist(), digits.tolist(), strict=True):
            evaluation = COCOeval(truth_index, detection_index, "bbox")
            params = evaluation.params
            params.imgIds, params.catIds = list(range(len(truths))), [label]
            params.iouThrs = np.array([IOU_THRESHOLD])
            params.recThrs = np.arange(1, count + 1) / count
            params.maxDets = [max(len(image.labels) for image in detections)]
            params.areaRng, params.areaRngLbl = [[0, np.inf]], ["all"]
            evaluation.evaluate()
            evaluation.accumulate()
            precisions[label] = float(evaluation.eval["precision"].mean())
    return precisions


def false_per_megapixel(images_pixels: Sequence[int], counts: Sequence[int]) -> float:
    """Computes the number of false detections per 10⁶ pixels.

    Args:
      images_pixels: the number of pixels of each image.
      counts: the number of false detections in each image.

    Raises:
      ArgumentError: there is no pixel, or the numbers of images and of counts differ.
    """
    if len(images_pixels) != len(counts) or not sum(images_pixels):
        raise ArgumentError(
            f"expected images with pixels and one count for each, got {len(images_pixels)} images "
            f"of {sum(images_pixels)} pixels and {len(counts)} counts"
        )
    return sum(counts) / sum(images_pixels) * 1e6


def check_pycocotools() -> None:
    """Checks that pycocotools is installed; a command calls this before it starts to detect.

    Raises:
      DigitsJaxError: pycocotools is not installed.
    """
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise DigitsJaxError(
            "average precision needs pycocotools, which is not installed; install it with "
            "`pip install 'digits-jax[eval]'`"
        ) from error


def _check_lengths(truths: Sequence[Scene], detections: Sequence[DetectionsLike]) -> None:
    if len(truths) != len(detections):
        raise ArgumentError(
            f"expected detections of each scene, got {len(detections)} for {len(truths)} scenes"
        )


def _coco_index(scenes: int, annotations: Iterable[dict[str, Any]]) -> Any:
    """Makes pycocotools' index of annotations. They may be none, which its `loadRes` refuses."""
    from pycocotools.coco import COCO

    index = COCO()
    index.dataset = {
        "images": [{"id": scene} for scene in range(scenes)],
        "categories": [{"id": label} for label in range(10)],
        # COCOeval takes the id 0 for "not matched".
        "annotations": [row | {"id": number} for number, row in enumerate(annotations, start=1)],
    }
    index.createIndex()
    return index


def _truth_annotations(truths: Sequence[Scene]) -> Iterator[dict[str, Any]]:
    for scene, truth in enumerate(truths):
        for box, label in zip(truth.boxes_xyxy.tolist(), truth.labels.tolist(), strict=True):
            yield _annotation(scene, box, label) | {"iscrowd": 0}


def _detection_annotations(detections: Sequence[DetectionsLike]) -> Iterator[dict[str, Any]]:
    for scene, image in enumerate(detections):
        arrays = (image.boxes_xyxy.tolist(), image.labels.tolist(), image.scores.tolist())
        for box, label, score in zip(*arrays, strict=True):
            yield _annotation(scene, box, label) | {"score": score}


def _annotation(scene: int, box_xyxy: Sequence[int | float], label: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box_xyxy
    width, height = x1 - x0, y1 - y0
    box_xywh = [x0, y0, width, height]
    return {"image_id": scene, "category_id": label, "bbox": box_xywh, "area": width * height}
