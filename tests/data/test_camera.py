"""Scenes as a camera sees them: what was written stays where it is, and the rest is no ink."""

from collections.abc import Callable

import numpy as np
import pytest

from digits_jax.data.camera import photograph_page, photograph_textured
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.images.normalise import normalise

Camera = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@pytest.fixture(scope="module")
def ink() -> np.ndarray:
    """A block of ink on 200×160 px."""
    canvas = np.zeros((200, 160), np.uint8)
    canvas[60:80, 40:50] = 255
    return canvas


def contrasts(ink: np.ndarray, camera: Camera, count: int) -> np.ndarray:
    """By how many grey levels the ink is lighter than the paper right beside it, by channel."""
    differences = []
    for seed in range(count):
        picture = camera(ink, np.random.default_rng(seed))
        assert picture.shape == (*ink.shape, 3)
        assert picture.dtype == np.uint8
        beside = np.concatenate([picture[60:80, 28:38], picture[60:80, 52:62]])
        written = picture[62:78, 42:48]
        differences.append(written.mean(axis=(0, 1)) - beside.mean(axis=(0, 1)))
    return np.array(differences)


def test_a_pen_is_darker_than_its_page(ink: np.ndarray) -> None:
    assert (contrasts(ink, photograph_page, 40).mean(axis=1) < -12).all()


def test_coloured_ink_is_lighter_or_darker_and_faint(ink: np.ndarray) -> None:
    lighter = contrasts(ink, photograph_textured, 40).mean(axis=1)
    assert 10 < (lighter > 0).sum() < 30
    assert (np.abs(lighter) > 12).all()
    assert (np.abs(lighter) < 110).all()


@pytest.mark.parametrize("camera", [photograph_page, photograph_textured])
def test_a_picture_is_a_function_of_its_generator(ink: np.ndarray, camera: Camera) -> None:
    one, again, other = (camera(ink, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("family", ["page", "coloured"])
def test_what_was_written_lies_in_the_boxes(family: str, mnist: Mnist) -> None:
    for scene in compose(family, "validation", 6, 1, mnist=mnist):
        assert scene.image.shape == (300, 300, 3)
        ink = normalise(scene.image).astype(float)
        within = np.zeros(ink.shape, bool)
        for x0, y0, x1, y1 in scene.boxes_xyxy:
            assert ink[y0:y1, x0:x1].max() > 100
            within[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] = True
        assert ink[within].mean() > 10 * ink[~within].mean()
