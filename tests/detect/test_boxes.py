"""The box of a window's ink."""

import numpy as np
import pytest

from digits_jax.data.mnist import Mnist
from digits_jax.detect.boxes import REACH, tight_box
from digits_jax.images.ink import INK_THRESHOLD

WINDOW = np.array([10, 20, 38, 48], np.float32)  # its body, 3 px in: columns 13–34, rows 23–44


def canvas(*blobs: tuple[slice, slice]) -> np.ndarray:
    image = np.zeros((60, 70), np.float32)
    for rows, columns in blobs:
        image[rows, columns] = 1
    return image


BLOB = (slice(25, 41), slice(18, 29))
BOX = [18, 25, 29, 41]


def test_a_box_is_tight_around_a_stroke() -> None:
    assert tight_box(canvas(BLOB), WINDOW, 8).tolist() == BOX
    assert tight_box(canvas(BLOB), WINDOW, 8).dtype == np.int64


def test_a_box_holds_all_strokes_of_the_body() -> None:
    dot = (slice(43, 44), slice(14, 15))
    assert tight_box(canvas(BLOB, dot), WINDOW, 8).tolist() == [14, 25, 29, 44]


@pytest.mark.parametrize(
    "neighbour",
    [
        (slice(20, 48), slice(10, 13)),  # within the rim
        (slice(30, 33), slice(33, 60)),  # from the right, two columns into the body
        (slice(0, 24), slice(20, 24)),  # from above, one row into it
    ],
)
def test_a_neighbour_s_stroke_that_reaches_in_is_left_out(
    neighbour: tuple[slice, slice],
) -> None:
    assert tight_box(canvas(BLOB, neighbour), WINDOW, 8).tolist() == BOX


@pytest.mark.parametrize(("label", "ends"), [(1, (15, 34)), (8, (15, 37))])
def test_where_its_stroke_runs_on_a_box_ends_as_its_class_does(
    label: int, ends: tuple[int, int]
) -> None:
    """The window's centre is (24, 34), from which a 1 reaches 10 px to the right and an 8 13."""
    stroke = (slice(30, 34), slice(15, 38))
    assert tight_box(canvas(stroke), WINDOW, label).tolist() == [ends[0], 30, ends[1], 34]


def test_how_far_the_digits_of_a_class_reach(mnist: Mnist) -> None:
    """98 % of MNIST's, or a little more, as pixels are whole; fewer reach a pixel less."""
    for label, of_class in enumerate(REACH):
        digits = mnist.train.images[mnist.train.labels == label]
        ink = digits > INK_THRESHOLD * digits.max(axis=(1, 2), keepdims=True)
        rows, columns = ink.any(axis=2), ink.any(axis=1)
        before = (14 - lines.argmax(axis=1) for lines in (columns, rows))
        after = (14 - lines[:, ::-1].argmax(axis=1) for lines in (columns, rows))
        for reach, digits_reach in zip(of_class, (*before, *after), strict=True):
            assert (digits_reach <= reach).mean() >= 0.98
            assert (digits_reach <= reach - 1).mean() < 0.98


def test_faint_pixels_are_paper() -> None:
    """Fainter than 0.15 of the brightest, however bright that is."""
    image = canvas(BLOB)
    image[24, 18:29], image[41, 18:29] = 0.14, 0.16
    expected = [18, 25, 29, 42]
    assert tight_box(image, WINDOW, 8).tolist() == expected
    assert tight_box(image / 10, WINDOW, 8).tolist() == expected


def test_pixels_that_share_a_corner_are_one_stroke() -> None:
    """A diagonal from the rim, of whose five pixels two are in the body."""
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
    found = tight_box(image[::-1, ::-1].copy(), turned.astype(np.float32), 8)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("grey", "box"),
    [(0.0, [13, 23, 35, 45]), (0.5, [14, 24, 37, 46]), (1.0, [14, 24, 37, 46])],
)
def test_a_blank_window_s_box(grey: float, box: list[int]) -> None:
    """Its body, or if all is ink, as much of it as its class takes."""
    assert tight_box(np.full((60, 70), grey, np.float32), WINDOW, 8).tolist() == box
