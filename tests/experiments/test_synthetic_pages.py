"""Large images of digits: the same for equal arguments, with boxes around the digits' ink."""

import numpy as np
import pytest
from jaxtyping import UInt8

from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import Scene
from digits_jax.images.box_iou import box_iou
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image
from experiments.common import synthetic_pages


@pytest.mark.parametrize(("side", "digits"), synthetic_pages.PAGE_DIGITS.items())
def test_separated_digits_fill_their_boxes_and_nothing_else(side: int, digits: int) -> None:
    page = synthetic_pages.draw_separated_page(side, seed=0, split="validation")
    assert page.image.shape == (side, side)
    assert len(page.labels) == digits
    assert_disjoint(page)
    outside = page.image.copy()
    for x0, y0, x1, y1 in page.boxes_xyxy:
        ink = page.image[y0:y1, x0:x1]
        assert ink[:, [0, -1]].any(axis=0).all()
        assert ink[[0, -1]].any(axis=1).all()
        outside[y0:y1, x0:x1] = 0
    assert not outside.any()
    again = synthetic_pages.draw_separated_page(side, seed=0, split="validation")
    other = synthetic_pages.draw_separated_page(side, seed=1, split="validation")
    np.testing.assert_array_equal(page.image, again.image)
    assert (page.image != other.image).any()


@pytest.mark.parametrize("height", [60, 300])
def test_a_pen_draws_strokes_of_its_width_in_a_digit_of_the_height(height: int) -> None:
    pytest.importorskip("skimage")
    images = np.asarray(load_mnist(log=lambda line: None).validation.images[:20])
    for image in images:
        ink = synthetic_pages.draw_with_pen(image, height, pen_px=height / 10)
        assert ink.shape[0] == pytest.approx(height, rel=0.15)
        assert widest_stroke(ink) == pytest.approx(height / 10, abs=2)


@pytest.mark.slow
def test_photographs_and_scans_have_the_size_and_number_of_digits_that_they_promise() -> None:
    pytest.importorskip("skimage")
    for draw, shape, counts, heights in (
        (synthetic_pages.draw_phone_photo, synthetic_pages.PHOTO_SHAPE, (10, 30), (150, 400)),
        (synthetic_pages.draw_a4_scan, synthetic_pages.SCAN_SHAPE, (200, 200), (50, 90)),
    ):
        page, file = draw(3, "validation")
        assert page.image.shape == (*shape, 3)
        np.testing.assert_array_equal(read_image(file, colour=True), page.image)
        assert counts[0] <= len(page.labels) <= counts[1]
        own_heights = page.boxes_xyxy[:, 3] - page.boxes_xyxy[:, 1]
        assert heights[0] * 0.85 <= own_heights.min() <= own_heights.max() <= heights[1] * 1.15
        assert_disjoint(page)
        crop = page.image[:400, :400]
        again, _ = draw(3, "validation")
        np.testing.assert_array_equal(again.image[:400, :400], crop)
        ink = normalise(crop)
        x0, y0, x1, y1 = page.boxes_xyxy[0].clip(max=400)
        assert ink[y0:y1, x0:x1].max() > 200


def assert_disjoint(page: Scene) -> None:
    for k, box in enumerate(page.boxes_xyxy):
        assert not box_iou(box[None], page.boxes_xyxy[:k]).any()


def widest_stroke(ink: UInt8[np.ndarray, "h w"]) -> float:
    """Returns the width of the strokes: twice the median distance of their middle from paper."""
    from scipy import ndimage
    from skimage.morphology import skeletonize

    inside = np.pad(ink > 127, 2)
    distance = ndimage.distance_transform_edt(inside)
    return float(2 * np.median(distance[skeletonize(inside)]))
