import dataclasses

import jax
import numpy as np
import pytest

from digits_jax.data import Mnist
from digits_jax.recipe import RECIPES, Recipe, RecipeError
from digits_jax.warp import warp

PIXEL = np.arange(28) - 13.5
STILL = dataclasses.replace(RECIPES["standard"], rotation=0.0, slant=0.0, elastic=0.0)


def warped(pictures: np.ndarray, key: int = 0, **changes: float) -> np.ndarray:
    recipe: Recipe = dataclasses.replace(STILL, **changes)  # type: ignore[arg-type]
    return np.asarray(jax.jit(warp, static_argnums=2)(jax.random.key(key), pictures, recipe))


def bars(n: int) -> np.ndarray:
    """Upright bars, long and smooth."""
    bar = np.exp(-(PIXEL[None] ** 2) / 8) * np.exp(-(PIXEL[:, None] ** 2) / 50)
    return np.broadcast_to(bar, (n, 28, 28)).astype(np.float32)


def moments(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second moments yy, yx, xx about the window's centre."""
    mass = pictures.sum(axis=(1, 2))
    yy = np.einsum("nyx,y,y->n", pictures, PIXEL, PIXEL) / mass
    yx = np.einsum("nyx,y,x->n", pictures, PIXEL, PIXEL) / mass
    xx = np.einsum("nyx,x,x->n", pictures, PIXEL, PIXEL) / mass
    return yy, yx, xx


def test_nothing_asked_for_leaves_digits_as_they_are(mnist: Mnist) -> None:
    digits = np.asarray(mnist.train.images[:50], np.float32) / 255
    np.testing.assert_allclose(warped(digits), digits, atol=1e-6)


def test_turns_are_uniform_up_to_the_limit_both_ways() -> None:
    yy, yx, xx = moments(warped(bars(2000), rotation=30.0))
    angles = np.degrees(0.5 * np.arctan2(2 * yx, yy - xx))
    assert np.abs(angles).max() == pytest.approx(30, abs=1)
    assert np.mean(angles) == pytest.approx(0, abs=1.5)
    assert np.std(angles) == pytest.approx(30 / np.sqrt(3), rel=0.05)


def test_slant_shears_along_x_and_keeps_rows_where_they_are() -> None:
    yy, yx, _ = moments(warped(bars(2000), slant=0.4))
    slants = -yx / yy
    assert np.abs(slants).max() == pytest.approx(0.4, abs=0.02)
    assert np.std(slants) == pytest.approx(0.4 / np.sqrt(3), rel=0.05)
    np.testing.assert_allclose(yy, moments(bars(1))[0][0], rtol=1e-3)


def test_bends_move_every_pixel_alike_and_neighbours_together() -> None:
    """On a slope of grey, a pixel's value is where it came from."""
    slope = np.broadcast_to(PIXEL[None], (4000, 28, 28)).astype(np.float32)
    moved = warped(slope, elastic=1.0)[:, 6:22, 6:22] - slope[:, 6:22, 6:22]
    # a² has the mean 1/3 for a uniform in 0–1.
    np.testing.assert_allclose(moved.std(axis=0), np.sqrt(1 / 3), rtol=0.1)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.05)
    beside = np.mean(moved[:, :, 1:] * moved[:, :, :-1]) / np.mean(moved**2)
    # exp(−d²/4σ²) for white noise smoothed by a Gaussian of width σ = 4 px.
    assert beside == pytest.approx(np.exp(-1 / 64), abs=0.005)
    far = np.mean(moved[:, :, 10:] * moved[:, :, :-10]) / np.mean(moved**2)
    assert far == pytest.approx(np.exp(-100 / 64), abs=0.04)


def test_every_digit_has_its_own_bend_and_every_key_others() -> None:
    first, second = (warped(bars(3), key, elastic=1.0) for key in (0, 1))
    assert np.abs(first[0] - first[1]).max() > 0.05
    assert np.abs(first[0] - second[0]).max() > 0.05


def test_what_lies_beyond_the_picture_is_empty() -> None:
    turned = warped(np.ones((200, 28, 28), np.float32), rotation=45.0)
    assert turned.min() == 0
    np.testing.assert_allclose(turned[:, 8:20, 8:20], 1, atol=1e-6)


@pytest.mark.parametrize(("field", "value"), [("rotation", -1.0), ("slant", 1.1), ("elastic", 6.0)])
def test_refuses_what_no_digit_survives(field: str, value: float) -> None:
    with pytest.raises(RecipeError, match=field):
        dataclasses.replace(STILL, **{field: value})  # type: ignore[arg-type]
