"""Detections of the exhaustive search by the package's trained weights.

`test_component_search` has those of the default search.
"""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.config import DEFAULT_CONFIG, UNCALIBRATED
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector, detect, detect_batch
from digits_jax.images.box_iou import box_iou
from digits_jax.images.mask_box import mask_to_box
from digits_jax.models.cnn import Params

SIZE = 140  # px of most images, since each bucket is compiled
MIN_SCORE = DEFAULT_CONFIG.min_score


def detect_native(params: Params, image: np.ndarray, min_score: float = MIN_SCORE) -> Detections:
    return detect(
        params, image, method="windows", min_size=28.0, max_size=28.0, min_score=min_score
    )


def take(detections: Detections, rows: slice | np.ndarray, *, truncated: bool) -> Detections:
    """Returns some of the detections."""
    boxes, windows, labels, scores = (array[rows] for array in detections[:4])
    return Detections(boxes, windows, labels, scores, truncated, None)


def crop_digit(mnist: Mnist, label: int, number: int = 0) -> np.ndarray:
    """Returns a test digit's pixels, without the black around them."""
    labels = np.asarray(mnist.test.labels)
    image = np.asarray(mnist.test.images)[np.flatnonzero(labels == label)[number]]
    x0, y0, x1, y1 = mask_to_box(image > 0)
    return image[y0:y1, x0:x1]


def assert_equal(detections: Detections, expected: Detections) -> None:
    for array, expected_array in zip(detections, expected, strict=True):
        np.testing.assert_array_equal(array, expected_array)


def test_every_digit_of_a_scene_is_detected(
    scenes: list[Scene], scene_detections: list[Detections]
) -> None:
    for scene, detections in zip(scenes, scene_detections, strict=True):
        overlap = box_iou(scene.boxes_xyxy, detections.boxes_xyxy)
        assert len(detections.labels) == len(scene.labels)
        nearest = overlap.argmax(axis=1)
        assert sorted(nearest) == list(range(len(scene.labels)))
        assert overlap.max(axis=1).min() > 0.6
        np.testing.assert_array_equal(detections.labels[nearest], scene.labels)
        assert not detections.truncated


def test_detections_have_their_types_are_sorted_and_lie_inside_the_image(
    scene_detections: list[Detections],
) -> None:
    for boxes, windows, labels, scores, truncated, *others in scene_detections:
        n = len(labels)
        assert [array.shape for array in (boxes, windows, scores)] == [(n, 4), (n, 4), (n,)]
        types = [array.dtype for array in (boxes, windows, labels, scores)]
        assert types == [np.int64, np.float32, np.int64, np.float32]
        assert isinstance(truncated, bool)
        assert others == [None, None]  # no probabilities and no crops
        assert (np.diff(scores) <= 0).all()
        assert (scores >= MIN_SCORE).all()
        assert (scores <= 1).all()
        assert (boxes >= 0).all()
        assert (boxes <= SIZE).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        np.testing.assert_array_equal(windows[:, 2:] - windows[:, :2], 28)


@pytest.mark.parametrize("grey", [0.0, 0.3, 0.7, 1.0])
def test_blank_paper_of_any_grey_has_no_detections(grey: float, native: Detector) -> None:
    detections = native.detect(np.full((SIZE, SIZE), grey, np.float32))
    assert detections.boxes_xyxy.shape == detections.windows_xyxy.shape == (0, 4)
    assert detections.labels.shape == detections.scores.shape == (0,)
    assert not detections.truncated


def test_a_higher_threshold_leaves_out_the_less_certain(
    params: Params, scenes: list[Scene], scene_detections: list[Detections]
) -> None:
    scores = scene_detections[0].scores
    threshold = float((scores[0] + scores[-1]) / 2)
    certain = detect_native(params, scenes[0].image, threshold)
    count = int((scores >= threshold).sum())
    assert 0 < count < len(scores)
    assert_equal(certain, take(scene_detections[0], slice(count), truncated=False))


@pytest.mark.slow
def test_from_score_gives_the_detections_of_a_higher_threshold(
    params: Params, mnist: Mnist
) -> None:
    """A scene with scores on both sides of 0.9, and candidates that overlap better ones."""
    image = compose("mnist-od", "validation", 6, 5, mnist=mnist)[5].image
    config = dataclasses.replace(DEFAULT_CONFIG, reliability=UNCALIBRATED, min_score=0.3)
    sizes: dict[str, Any] = {"min_size": 50.0, "max_size": 100.0}
    search = partial(detect, params, image, method="windows", config=config, **sizes)
    detections = search()
    assert (detections.scores < 0.9).any()
    assert_equal(search(min_score=0.9), detections.from_score(0.9))
    more = search(min_score=0.01)  # with candidates that overlap better ones
    assert len(more.scores) > len(detections.scores)
    assert_equal(detections, more.from_score(0.3))


def test_digits_that_touch_the_image_s_edges_are_detected(params: Params, mnist: Mnist) -> None:
    image = np.zeros((SIZE, SIZE), np.uint8)
    boxes = {}
    for label, (lower, right) in zip((4, 0, 8, 2), np.ndindex(2, 2), strict=True):
        ink = crop_digit(mnist, label)
        height, width = ink.shape
        y, x = lower * (SIZE - height), right * (SIZE - width)
        image[y : y + height, x : x + width] = ink
        boxes[label] = [x, y, x + width, y + height]
    detections = detect_native(params, image, 0.5)
    assert sorted(detections.labels) == sorted(boxes)
    expected = np.array([boxes[int(label)] for label in detections.labels])
    assert np.diag(box_iou(detections.boxes_xyxy, expected)).min() > 0.7


def test_touching_digits_are_two_detections(params: Params, mnist: Mnist) -> None:
    image = np.zeros((SIZE, SIZE), np.uint8)
    left, right = crop_digit(mnist, 2), crop_digit(mnist, 3)
    image[60 : 60 + len(left), 50 : 50 + left.shape[1]] = left
    middle = 50 + left.shape[1] - 1  # they share one column
    image[60 : 60 + len(right), middle : middle + right.shape[1]] |= right
    detections = detect_native(params, image, 0.5)
    in_reading_order = detections.labels[np.argsort(detections.boxes_xyxy[:, 0])]
    assert in_reading_order.tolist() == [2, 3]
    assert detections.boxes_xyxy[:, 0].min() < 55
    assert detections.boxes_xyxy[:, 0].max() > middle - 8


@pytest.mark.slow
def test_a_digit_is_detected_in_an_image_smaller_than_a_window(
    params: Params, mnist: Mnist
) -> None:
    """It touches three edges of the image or more."""
    ink = crop_digit(mnist, 7)
    assert max(ink.shape) <= 20
    image = np.zeros((20, 20), np.uint8)
    image[: ink.shape[0], : ink.shape[1]] = ink
    detections = detect_native(params, image)
    assert detections.labels.tolist() == [7]
    assert box_iou(detections.boxes_xyxy, mask_to_box(image > 0)[None]).max() > 0.7


@pytest.mark.slow
def test_detect_batch_equals_detect_on_each_image(
    params: Params, scenes: list[Scene], scene_detections: list[Detections]
) -> None:
    """The images have different numbers of digits, the third none; the rest is not valid."""
    images = np.stack([scenes[0].image, scenes[1].image, np.zeros((SIZE, SIZE), np.uint8)])
    k = 50
    sizes: dict[str, Any] = {"method": "windows", "min_size": 28.0, "max_size": 28.0}
    batch = detect_batch(params, images, max_detections=k, **sizes)
    assert batch.boxes_xyxy.shape == batch.windows_xyxy.shape == (3, k, 4)
    assert batch.labels.shape == batch.scores.shape == batch.valid.shape == (3, k)
    counts = [len(scene_detections[0].labels), len(scene_detections[1].labels), 0]
    assert counts[0] != counts[1]
    assert batch.valid.dtype == batch.truncated.dtype == np.bool_
    np.testing.assert_array_equal(batch.valid.sum(axis=1), counts)
    assert not batch.truncated.any()
    for i, expected in enumerate(scene_detections):
        assert batch.valid[i][: counts[i]].all()
        alone = batch.of_image(i)
        np.testing.assert_array_equal(alone.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_allclose(alone.windows_xyxy, expected.windows_xyxy)
        np.testing.assert_array_equal(alone.labels, expected.labels)
        np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-4)


@pytest.mark.slow
def test_truncated_is_true_where_there_were_more_candidates_than_max_detections(
    params: Params, scenes: list[Scene], scene_detections: list[Detections]
) -> None:
    sizes: dict[str, Any] = {"method": "windows", "min_size": 28.0, "max_size": 28.0}
    best = detect(params, scenes[0].image, capacity=1, **sizes)
    assert best.truncated
    # The search keeps the candidate of the highest priority, which may not have the highest score.
    windows = scene_detections[0].windows_xyxy
    (row,) = (windows == best.windows_xyxy).all(axis=1).nonzero()
    assert len(row) == 1
    assert_equal(best, take(scene_detections[0], row, truncated=True))
    blank = np.zeros((1, SIZE, SIZE), np.uint8)
    none = detect_batch(params, blank, max_detections=1, **sizes)
    assert none.valid.tolist() == [[False]]
    assert none.truncated.tolist() == [False]
