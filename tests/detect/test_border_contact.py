"""Border contact of windows."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from digits_jax.data.mnist import Mnist
from digits_jax.detect.border_contact import border_contact as border_contact_of
from digits_jax.detect.steps import BorderContactConfig
from digits_jax.images.mask_box import INK_THRESHOLD
from digits_jax.models.cnn import INPUT_SIDE

border_contact = partial(border_contact_of, config=BorderContactConfig())
CENTRE_SIDE = 16
FIRST = (INPUT_SIDE - CENTRE_SIDE) // 2


def touched_pixels(*windows: np.ndarray) -> list[float]:
    """Returns the number of border pixels that strokes touch."""
    return (
        np.asarray(border_contact(jnp.asarray(np.stack(windows), jnp.float32))) * INPUT_SIDE
    ).tolist()


def drawn(*strokes: tuple[slice | int, slice | int]) -> np.ndarray:
    """Returns a window with strokes of full ink, given by their rows and columns."""
    window = np.zeros((INPUT_SIDE, INPUT_SIDE), np.float32)
    for rows, columns in strokes:
        window[rows, columns] = 1
    return window


@pytest.mark.parametrize(
    ("window", "pixels"),
    [
        (drawn(), 0),
        (drawn((slice(4, 24), slice(12, 15))), 0),
        (drawn((slice(0, 24), slice(12, 15))), 3),  # over the upper edge
        (drawn((slice(0, 28), slice(12, 15))), 6),  # and over the lower
        (drawn((slice(12, 14), slice(0, 28))), 4),
        (drawn((slice(0, 28), slice(0, 28))), 4 * 27),  # corners count once
        (drawn((slice(0, 28), slice(22, 28))), 0),  # none of it in the central 16 px
        (drawn((slice(0, 28), slice(21, 28))), 7 + 26 + 7),  # a column of it
        (drawn((slice(5, 20), 10), (slice(0, 4), 10)), 0),  # with a gap
        (drawn((slice(4, 20), 10), (slice(0, 4), 11)), 1),  # over a corner
    ],
)
def test_strokes_through_the_centre_are_followed_to_the_border(
    window: np.ndarray, pixels: int
) -> None:
    turned = (window, window.T, window[::-1], window[:, ::-1], window[::-1, ::-1].T)
    assert touched_pixels(*turned) == pytest.approx([pixels] * 5)


def test_pixels_below_0_15_of_the_brightest_are_paper() -> None:
    stroke = drawn((slice(0, 20), 10))
    for brightest in (1.0, 0.1):
        for share, pixels in ((0.14, 0), (0.16, 1)):
            stroke[0, 10] = share
            assert touched_pixels(brightest * stroke) == pytest.approx([pixels])


def test_strokes_equal_the_components_of_scipy() -> None:
    """Random pixels, of which some 38 % are ink, form long and winding strokes."""
    windows = np.random.default_rng(0).random((200, INPUT_SIDE, INPUT_SIDE)).astype(np.float32)
    windows *= np.random.default_rng(1).random(windows.shape) < 0.45
    edge = np.ones((INPUT_SIDE, INPUT_SIDE), bool)
    edge[1:-1, 1:-1] = False
    expected = []
    for window in windows:
        strokes, _ = ndimage.label(window > INK_THRESHOLD * window.max(), np.ones((3, 3)))
        centre = strokes[FIRST : FIRST + CENTRE_SIDE, FIRST : FIRST + CENTRE_SIDE]
        expected.append((np.isin(strokes, centre[centre > 0]) & edge).sum())
    assert 10 < np.mean(expected) < 100
    assert np.std(expected) > 5
    assert touched_pixels(*windows) == pytest.approx(expected)


def test_digits_have_no_border_contact_and_their_enlarged_halves_have(mnist: Mnist) -> None:
    digits = mnist.validation.images[:1000] / np.float32(255)
    whole = np.array(touched_pixels(*digits)) / INPUT_SIDE
    assert (whole == 0).mean() > 0.99
    # The lower half at twice its size.
    parts = digits[:, 14:28, 7:21].repeat(2, axis=1).repeat(2, axis=2)
    assert (np.array(touched_pixels(*parts)) / INPUT_SIDE > 0.05).mean() > 0.95
