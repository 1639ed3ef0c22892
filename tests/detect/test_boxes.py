"""The tight box around the ink of a window."""

from functools import partial

import numpy as np
import pytest

from digits_jax.data.mnist import Mnist
from digits_jax.detect.boxes import tight_box as tight_box_of
from digits_jax.detect.steps import BoxConfig
from digits_jax.images.mask_box import INK_THRESHOLD

CONFIG = BoxConfig()
tight_box = partial(tight_box_of, config=CONFIG)
WINDOW = np.array([10, 20, 38, 48], np.float32)  # body: columns 13–34, rows 23–44


def canvas(*blobs: tuple[slice, slice]) -> np.ndarray:
    """Returns an image with blobs of full ink, given by their rows and columns."""
    image = np.zeros((60, 70), np.float32)
    for rows, columns in blobs:
        image[rows, columns] = 1
    return image


BLOB = (slice(25, 41), slice(18, 29))
BOX = [18, 25, 29, 41]


def test_a_box_is_tight_around_a_stroke() -> None:
    assert tight_box(canvas(BLOB), WINDOW, 8).tolist() == BOX
    assert tight_box(canvas(BLOB), WINDOW, 8).dtype == np.int64


def test_a_box_contains_all_strokes_of_the_body() -> None:
    dot = (slice(43, 44), slice(14, 15))
    assert tight_box(canvas(BLOB, dot), WINDOW, 8).tolist() == [14, 25, 29, 44]


@pytest.mark.parametrize(
    "neighbour",
    [
        (slice(20, 48), slice(10, 13)),  # outside the body
        (slice(30, 33), slice(33, 60)),  # from the right, two columns into the body
        (slice(0, 24), slice(20, 24)),  # from above, one row into it
    ],
)
def test_a_neighbour_s_stroke_that_reaches_into_the_body_is_left_out(
    neighbour: tuple[slice, slice],
) -> None:
    assert tight_box(canvas(BLOB, neighbour), WINDOW, 8).tolist() == BOX


@pytest.mark.parametrize(("label", "ends"), [(1, (15, 34)), (8, (15, 37))])
def test_where_a_stroke_runs_on_the_box_ends_at_the_class_s_margin(
    label: int, ends: tuple[int, int]
) -> None:
    """The window's centre is (24, 34); the right margin is 10 px for a 1 and 13 for an 8."""
    stroke = (slice(30, 34), slice(15, 38))
    assert tight_box(canvas(stroke), WINDOW, label).tolist() == [ends[0], 30, ends[1], 34]


def test_class_margins_hold_98_percent_of_the_digits_and_a_pixel_less_does_not(
    mnist: Mnist,
) -> None:
    for label, margins in enumerate(CONFIG.class_margins_px):
        digits = mnist.train.images[mnist.train.labels == label]
        ink = digits > INK_THRESHOLD * digits.max(axis=(1, 2), keepdims=True)
        rows, columns = ink.any(axis=2), ink.any(axis=1)
        before = (14 - lines.argmax(axis=1) for lines in (columns, rows))
        after = (14 - lines[:, ::-1].argmax(axis=1) for lines in (columns, rows))
        for margin, extents in zip(margins, (*before, *after), strict=True):
            assert (extents <= margin).mean() >= 0.98
            assert (extents <= margin - 1).mean() < 0.98


def test_pixels_below_0_15_of_the_brightest_are_paper() -> None:
    image = canvas(BLOB)
    image[24, 18:29], image[41, 18:29] = 0.14, 0.16
    expected = [18, 25, 29, 42]
    assert tight_box(image, WINDOW, 8).tolist() == expected
    assert tight_box(image / 10, WINDOW, 8).tolist() == expected


def test_pixels_that_share_a_corner_are_one_stroke() -> None:
    """A diagonal from the window's edge, of whose five pixels two are in the body."""
    image = canvas(BLOB)
    for k in range(5):
        image[20 + k, 10 + k] = 1
    assert tight_box(image, WINDOW, 8).tolist() == BOX


@pytest.mark.parametrize(
    ("window", "box"),
    [
        ([-8, -6, 20, 22], [2, 1, 12, 15]),
        ([-10.5, -9.25, 17.5, 18.75], [2, 1, 12, 15]),
        ([-8, -20, 48, 36], [2, 1, 12, 15]),
    ],
)
def test_a_window_may_reach_beyond_the_image(window: list[float], box: list[int]) -> None:
    image = canvas((slice(1, 15), slice(2, 12)))
    assert tight_box(image, np.array(window, np.float32), 8).tolist() == box
    height, width = image.shape
    turned = np.array([width, height] * 2) - np.array(window)[[2, 3, 0, 1]]
    expected = np.array([width, height] * 2) - np.array(box)[[2, 3, 0, 1]]
    turned_box = tight_box(image[::-1, ::-1].copy(), turned.astype(np.float32), 8)
    assert turned_box.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("grey", "box"),
    [(0.0, [13, 23, 35, 45]), (0.5, [14, 24, 37, 46]), (1.0, [14, 24, 37, 46])],
)
def test_the_box_of_a_blank_window_is_its_body_or_the_class_s_margins(
    grey: float, box: list[int]
) -> None:
    """The body where all is paper, the margins where all is ink."""
    assert tight_box(np.full((60, 70), grey, np.float32), WINDOW, 8).tolist() == box
