"""Intersection over union of boxes."""

import numpy as np

from digits_jax.images.box_iou import box_iou


def test_box_iou_of_all_pairs_equals_the_quotients_of_areas() -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [5, 5, 5, 5]])
    others = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [1, 1, 3, 3], [5, 5, 5, 5]])
    expected = np.array([[1, 0, 4 / 16, 0], [4 / 28, 4 / 28, 1 / 19, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others), expected)


def test_box_iou_is_zero_for_boxes_that_only_touch() -> None:
    box = np.array([[10, 10, 20, 20]])
    neighbours = np.array([[20, 10, 30, 20], [10, 20, 20, 30], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert not box_iou(box, neighbours).any()


def test_box_iou_is_zero_for_boxes_apart_in_x_and_y() -> None:
    """Two negative sides do not make a positive intersection."""
    assert not box_iou(np.array([[0, 0, 1, 1]]), np.array([[5, 5, 9, 9]])).any()


def test_box_iou_of_no_boxes_is_an_empty_matrix() -> None:
    none = np.zeros((0, 4), np.int64)
    assert box_iou(none, np.array([[0, 0, 1, 1]])).shape == (0, 1)
    assert box_iou(np.array([[0, 0, 1, 1]]), none).shape == (1, 0)


def test_box_iou_of_large_integers_does_not_overflow() -> None:
    """Areas of 2.5 · 10⁹ px exceed int32."""
    boxes = np.array([[0, 0, 50_000, 50_000]], np.int32)
    half = np.array([[0, 0, 50_000, 25_000]], np.int32)
    iou = box_iou(boxes, half)
    assert iou.dtype == np.float64
    np.testing.assert_allclose(iou, 0.5)
