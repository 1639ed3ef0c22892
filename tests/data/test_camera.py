"""Photographed ink: its contrast, its place, and equal pictures of equal generators."""

from collections.abc import Callable

import numpy as np
import pytest

from digits_jax.data.camera import photograph_page, photograph_textured
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.images.normalise import normalise

Photograph = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@pytest.fixture(scope="module")
def ink() -> np.ndarray:
    """A block of ink on 200×160 px."""
    canvas = np.zeros((200, 160), np.uint8)
    canvas[60:80, 40:50] = 255
    return canvas


def contrasts(ink: np.ndarray, photograph: Photograph, count: int) -> np.ndarray:
    """Returns how many grey levels ink is lighter than the paper next to it, `[count, 3]`."""
    differences = []
    for seed in range(count):
        picture = photograph(ink, np.random.default_rng(seed))
        assert picture.shape == (*ink.shape, 3)
        assert picture.dtype == np.uint8
        beside = np.concatenate([picture[60:80, 28:38], picture[60:80, 52:62]])
        written = picture[62:78, 42:48]
        differences.append(written.mean(axis=(0, 1)) - beside.mean(axis=(0, 1)))
    return np.array(differences)


def test_ink_on_a_page_is_darker_than_the_paper(ink: np.ndarray) -> None:
    assert (contrasts(ink, photograph_page, 40).mean(axis=1) < -12).all()


def test_ink_on_a_textured_background_is_faint_and_lighter_or_darker(ink: np.ndarray) -> None:
    lighter = contrasts(ink, photograph_textured, 40).mean(axis=1)
    assert 10 < (lighter > 0).sum() < 30
    assert (np.abs(lighter) > 12).all()
    assert (np.abs(lighter) < 110).all()


@pytest.mark.parametrize("photograph", [photograph_page, photograph_textured])
def test_equal_generators_give_equal_pictures(ink: np.ndarray, photograph: Photograph) -> None:
    first, again, other = (photograph(ink, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("dataset", ["page", "textured"])
def test_the_ink_of_a_scene_lies_in_its_boxes(dataset: str, mnist: Mnist) -> None:
    for scene in compose(dataset, "validation", 6, 1, mnist=mnist):
        assert scene.image.shape == (300, 300, 3)
        ink = normalise(scene.image).astype(float)
        within = np.zeros(ink.shape, bool)
        for x0, y0, x1, y1 in scene.boxes_xyxy:
            assert ink[y0:y1, x0:x1].max() > 100
            within[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] = True
        assert ink[within].mean() > 10 * ink[~within].mean()
