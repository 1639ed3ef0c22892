"""Ink of whatever colour on whatever paper becomes what the network was trained on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.images.normalise import is_ink_on_black, normalise


@pytest.fixture(scope="module")
def ink(mnist: Mnist) -> np.ndarray:
    """Four digits on 140×140 px of black."""
    return next(
        s.image for s in compose("native", "validation", 9, 3, mnist=mnist) if len(s[2]) > 3
    )


def seen(
    ink: np.ndarray, paper: float | tuple[float, ...], pen: float | tuple[float, ...]
) -> np.ndarray:
    """A picture of ink in one colour on paper of another, each 0–1."""
    covered = ink / 255
    if np.ndim(pen):
        covered = covered[..., None]
    return np.rint(255 * (np.asarray(paper) * (1 - covered) + np.asarray(pen) * covered)).astype(
        np.uint8
    )


def test_digits_on_black_stay_as_they_are(mnist: Mnist) -> None:
    for scene in compose("native", "validation", 20, 3, mnist=mnist):
        np.testing.assert_allclose(normalise(scene.image), scene.image, atol=3)


def test_ink_on_black_is_told_from_other_pictures(ink: np.ndarray, mnist: Mnist) -> None:
    """A digit that fills its picture, ink scanned by JPEG and ink by colours are; paper is not."""
    assert is_ink_on_black(ink)
    assert is_ink_on_black(np.asarray(mnist.validation.images[0]))
    assert is_ink_on_black(np.maximum(ink, 8))
    assert is_ink_on_black(seen(ink, (0.0, 0.0, 0.0), (1.0, 0.3, 0.0)))
    assert not is_ink_on_black(np.maximum(ink, 9))
    assert not is_ink_on_black(255 - ink)
    assert not is_ink_on_black(seen(ink, (0.0, 0.1, 0.0), (1.0, 0.3, 0.0)))  # dark green
    for family in ("page", "coloured"):
        for scene in compose(family, "validation", 5, 3, mnist=mnist):
            assert not is_ink_on_black(scene.image)


@pytest.mark.parametrize(
    ("paper", "pen"),
    [
        (0.0, 0.3),  # faint on black
        (1.0, 0.0),
        (0.9, 0.5),
        (0.4, 0.6),
        ((0.2, 0.4, 0.3), (0.5, 0.3, 0.3)),  # of one luma
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.8)),
    ],
)
def test_ink_of_any_colour_on_paper_of_any_other(
    ink: np.ndarray, paper: float | tuple[float, ...], pen: float | tuple[float, ...]
) -> None:
    picture = seen(ink, paper, pen)
    # One grey level of the picture is several of what is brought up to full contrast.
    contrast = np.max(np.abs(np.asarray(paper) - np.asarray(pen)))
    np.testing.assert_allclose(normalise(picture), ink, atol=4 / contrast)


def test_dark_on_light_and_light_on_dark_are_the_same(ink: np.ndarray) -> None:
    light = np.linspace(0.3, 1, ink.shape[1])
    picture = np.rint(255 * (0.2 + 0.6 * ink / 255) * light).astype(np.uint8)
    assert picture.std() > 10
    np.testing.assert_allclose(normalise(255 - picture).astype(int), normalise(picture), atol=2)


def test_both_may_be_in_one_image(ink: np.ndarray) -> None:
    picture = np.concatenate([seen(ink, 0.9, 0.2), seen(ink, 0.1, 0.9)], axis=1)
    found = normalise(picture)
    # One contrast becomes full: 7/9 of what is possible on the left, 8/9 on the right.
    off = 255 * (1 - 7 / 8)
    left, right = found[:, :90], found[:, -90:]  # away from where the papers meet
    np.testing.assert_allclose(left, ink[:, :90], atol=off)
    np.testing.assert_allclose(right, ink[:, -90:], atol=off)


def test_light_may_fall_unevenly(ink: np.ndarray) -> None:
    x = np.linspace(0, 1, ink.shape[1])
    light = 0.35 + 0.6 * np.sin(2 * x) * x[:, None]
    picture = np.rint(seen(ink, 1.0, 0.3) * light).astype(np.uint8)
    found = normalise(picture).astype(float)
    # The slope of the light counts as grain, which takes some of the ink, and never half of it.
    assert found[ink > 200].min() > 100
    assert found[ink == 0].max() < 25


@pytest.mark.parametrize("grey", [0, 1, 60, 128, 254, 255])
def test_blank_paper_has_no_ink(grey: int) -> None:
    assert not normalise(np.full((60, 90), grey, np.uint8)).any()
    slope = np.linspace(grey / 2, grey, 90).astype(np.uint8)
    assert normalise(np.tile(slope, (60, 1))).max() < 30


def test_grain_is_no_ink(ink: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noise = 255 * 0.03 * rng.normal(size=ink.shape)
    picture = (seen(ink, 0.8, 0.2) + noise).clip(0, 255).astype(np.uint8)
    found = normalise(picture)
    assert (found[ink == 0] > 40).mean() < 0.002
    assert (found[ink > 200] > 150).mean() > 0.98


@pytest.mark.parametrize("count", [1, 5, 28, 90])
def test_a_thin_line_is_ink(count: int) -> None:
    line = np.zeros((100, 100), np.uint8)
    line[range(count), range(count)] = 200
    np.testing.assert_array_equal(normalise(line), np.where(line, 255, 0))
    np.testing.assert_array_equal(normalise(255 - line), np.where(line, 255, 0))


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 30), st.integers(1, 30)),
            st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3])),
        ),
    )
)
def test_any_image_of_any_size_is_taken(image: np.ndarray) -> None:
    found = normalise(image)
    assert found.shape == image.shape[:2]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(normalise(255 - image), found)
