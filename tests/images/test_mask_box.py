"""The tight box of a mask."""

import numpy as np
import pytest

from digits_jax.images.mask_box import mask_to_box


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
