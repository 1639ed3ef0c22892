"""Connected components of ink, apart, together, and near to each other."""

import numpy as np
import pytest
from scipy import ndimage

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.detect.components import (
    Component,
    cluster_numbers,
    find_components,
    join,
    near_groups,
    split_mask,
)

THRESHOLD = 0.27  # grey values from 69 on are ink


def canvas(*blobs: tuple[slice | int, slice | int, int]) -> np.ndarray:
    """Returns an image with rectangles, given by their rows, columns and grey value."""
    image = np.zeros((40, 50), np.uint8)
    for rows, columns, grey in blobs:
        image[rows, columns] = grey
    return image


def components_of(image: np.ndarray, min_side: float = 1.0) -> list[Component]:
    return find_components(image, THRESHOLD, min_side)


def test_a_component_keeps_its_own_ink_where_boxes_overlap() -> None:
    """A dot inside a ring, and a stroke in the corner of its box."""
    image = canvas((slice(5, 26), slice(5, 26), 255), (slice(8, 23), slice(8, 23), 0))
    image[14:17, 14:17], image[3:5, 30:35] = 200, 180
    ring = image.copy()
    ring[14:17, 14:17] = ring[3:5, 30:35] = 0
    corner, whole, dot = components_of(image)
    assert (corner.box, whole.box, dot.box) == ((30, 3, 35, 5), (5, 5, 26, 26), (14, 14, 17, 17))
    np.testing.assert_array_equal(whole.ink, ring[5:26, 5:26])
    np.testing.assert_array_equal(whole.mask, ring[5:26, 5:26] > 0)
    np.testing.assert_array_equal(dot.ink, np.full((3, 3), 200))
    assert dot.mask.all()
    assert (whole.side, corner.side, dot.side) == (21, 5, 3)


def test_pixels_that_share_a_corner_are_connected() -> None:
    image = np.zeros((9, 9), np.uint8)
    image[np.arange(9), np.arange(9)] = 255
    (diagonal,) = components_of(image)
    assert diagonal.box == (0, 0, 9, 9)
    image[4, 4] = 0
    assert [part.box for part in components_of(image)] == [(0, 0, 4, 4), (5, 5, 9, 9)]


def test_a_component_keeps_the_faint_edge_of_its_strokes_and_no_other_ink() -> None:
    """68 is not ink, 69 is. A faint pixel that touches two strokes belongs to both."""
    image = canvas((slice(10, 20), slice(10, 13), 200), (slice(10, 20), slice(14, 17), 210))
    image[12, 12], image[15, 13] = 0, 68
    image[5:10, 10] = image[5, 10:20] = 69  # an arm over the other stroke
    image[7, 11:20] = 60  # faint, below the arm
    left, right = components_of(image)
    assert (left.box, right.box) == ((10, 5, 20, 20), (14, 10, 17, 20))
    expected = image[5:20, 10:20].copy()
    expected[5:, 4:] = 0  # the other stroke
    expected[2, 2:] = 0  # more than a pixel away from the ink
    np.testing.assert_array_equal(left.ink, expected)
    np.testing.assert_array_equal(left.mask, expected > 68)
    np.testing.assert_array_equal(right.ink, image[10:20, 14:17])
    assert right.mask.all()


def test_components_are_those_of_scipy_and_share_out_the_ink(mnist: Mnist) -> None:
    image = compose("mnist-od", "validation", 1, 4, mnist=mnist)[0].image
    parts = components_of(image)
    ink = image > THRESHOLD * 255
    assert len(parts) == ndimage.label(ink, np.ones((3, 3)))[1] >= 4
    times = np.zeros(image.shape, int)
    for (x0, y0, x1, y1), own_ink, mask in parts:
        edges = mask[0], mask[-1], mask[:, 0], mask[:, -1]
        assert all(edge.any() for edge in edges)  # the box is tight
        times[y0:y1, x0:x1] += mask
        assert ((own_ink == image[y0:y1, x0:x1]) | (own_ink == 0)).all()
        assert (own_ink[mask] == image[y0:y1, x0:x1][mask]).all()
    np.testing.assert_array_equal(times, ink)


def test_components_come_from_top_to_bottom_and_short_ones_are_left_out() -> None:
    image = canvas(
        (slice(20, 30), 10, 255),  # 10 px high
        (2, slice(30, 34), 255),  # 4 px wide
        (slice(10, 15), slice(40, 45), 255),  # 5 px
    )
    assert [part.box[1] for part in components_of(image)] == [2, 10, 20]
    assert [part.box[1] for part in components_of(image, 4.5)] == [10, 20]
    assert components_of(image, 11.0) == []
    assert components_of(np.zeros((3, 3), np.uint8)) == []


def test_a_mask_is_split_in_the_pixels_of_the_image() -> None:
    ink = canvas((slice(5, 15), slice(5, 35), 255))
    mask = ink > 0
    mask[:, 20] = False
    parts = list(split_mask(ink, mask, (100, 200), 1.0))
    assert [part.box for part in parts] == [(105, 205, 120, 215), (121, 205, 135, 215)]
    assert all((part.ink == 255).all() and part.mask.all() for part in parts)


def test_joined_components_have_the_ink_of_both() -> None:
    image = canvas((slice(5, 15), slice(5, 10), 255), (slice(12, 30), slice(20, 22), 100))
    both = join(components_of(image))
    assert both.box == (5, 5, 22, 30)
    np.testing.assert_array_equal(both.ink, image[5:30, 5:22])
    np.testing.assert_array_equal(both.mask, image[5:30, 5:22] > 0)


@pytest.mark.parametrize(
    ("other", "is_near"),
    [
        ((13, 0, 23, 20), True),  # 3 px apart: 0.15 of the 20 px
        ((14, 0, 24, 20), False),
        ((0, 22, 10, 32), True),  # below
        ((13, 23, 23, 43), True),  # on the diagonal
        ((13, 24, 23, 44), False),
        ((2, 2, 8, 8), True),  # inside
        ((12, 0, 13, 2), False),  # an eighth of the larger side is 2.5 px
        ((12, 0, 13, 3), True),
        ((16, 0, 66, 160), True),  # the larger one is 160 px high
        ((11, 0, 61, 161), False),
    ],
)
def test_components_are_near_by_the_gap_between_their_boxes(
    other: tuple[int, int, int, int], is_near: bool
) -> None:
    """The gap is at most 0.15 of the larger one's longer side; one is 8 times as long at most."""
    box, far = (0, 0, 10, 20), (300, 300, 310, 320)
    expected = [[0, 1]] if is_near else []
    assert near_groups([box, other, far], [0], 0.15, 2.0) == expected
    assert near_groups([box, other, far], [0, 1, 2], 0.15, 2.0) == expected
    assert near_groups([box, other, far], [2], 0.15, 2.0) == []
    assert near_groups([box], [], 0.15, 2.0) == []


def test_what_is_together_wider_than_a_digit_is_no_pair() -> None:
    """Such as rulings and words. Together, the pairs are 2 and 2.1 times as wide as high."""
    left, near, far = (0, 0, 9, 10), (11, 0, 20, 10), (11, 0, 21, 10)
    assert near_groups([left, near], [0], 0.2, 2.0) == [[0, 1]]
    assert near_groups([left, far], [0], 0.2, 2.0) == []


def test_links_put_components_into_clusters() -> None:
    first, second, third, fourth, fifth = cluster_numbers(5, [(0, 2), (2, 4), (1, 1)])
    assert first == third == fifth
    assert len({first, second, fourth}) == 3
    assert len(set(cluster_numbers(3, []))) == 3
