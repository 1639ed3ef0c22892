"""The tight box and the parts of a mask."""

import numpy as np
import pytest

from digits_jax.images.mask_box import count_parts, mask_to_box


def test_mask_to_box_is_tight_and_excludes_its_end() -> None:
    mask = np.zeros((10, 20), bool)
    mask[3, 5] = mask[6, 4] = mask[4, 11] = True
    np.testing.assert_array_equal(mask_to_box(mask), [4, 3, 12, 7])


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 19), (9, 0), (9, 19)])
def test_mask_to_box_of_one_pixel_has_one_pixel(y: int, x: int) -> None:
    mask = np.zeros((10, 20), bool)
    mask[y, x] = True
    np.testing.assert_array_equal(mask_to_box(mask), [x, y, x + 1, y + 1])


@pytest.mark.parametrize("shape", [(10, 20), (0, 0), (0, 5), (5, 0)])
def test_mask_to_box_of_no_pixels_is_zero(shape: tuple[int, int]) -> None:
    box = mask_to_box(np.zeros(shape, bool))
    assert box.dtype == np.int64
    np.testing.assert_array_equal(box, [0, 0, 0, 0])


def test_mask_to_box_of_a_full_mask_is_the_image() -> None:
    np.testing.assert_array_equal(mask_to_box(np.ones((3, 7), bool)), [0, 0, 7, 3])


def test_a_view_of_a_mask_has_its_own_box() -> None:
    mask = np.zeros((8, 12), bool)
    mask[3, 2] = mask[6, 8] = True
    np.testing.assert_array_equal(mask_to_box(mask[1:, ::2]), [1, 2, 5, 6])
    np.testing.assert_array_equal(mask_to_box(mask.T), [3, 2, 7, 9])


def test_parts_are_connected_by_sides_and_count_from_their_least_area() -> None:
    mask = np.array([[1, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 1, 0, 1]], bool)
    # Of 3, 1, 2 and 1 px; the first and the third touch at a corner alone.
    assert [count_parts(mask, least) for least in (1, 2, 3, 4)] == [4, 2, 1, 0]
    assert count_parts(~mask) == 2
    assert count_parts(np.zeros((3, 3), bool)) == 0
