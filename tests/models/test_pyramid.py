"""Squares of pyramid levels equal weights computed by hand and crops of whole levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level, pyramid_padding


def crop(image: np.ndarray, level: PyramidLevel, corner: tuple[int, int], side: int) -> np.ndarray:
    return np.asarray(crop_level(jnp.asarray(image), [level], 0, jnp.array(corner), side))


def test_at_scale_a_half_a_pixel_is_a_weighted_mean_of_four() -> None:
    """Under a triangle of two level pixels the weights are 1/8, 3/8, 3/8 and 1/8."""
    image = np.zeros((8, 8), np.float32)
    image[:, 4] = 1
    pixels = crop(image, PyramidLevel(0.5, 0.0, 4, 4), (1, 0), 2)
    np.testing.assert_allclose(pixels, [[0, 1 / 8], [0, 1 / 8]], atol=1e-6)
    pixels = crop(image, PyramidLevel(0.5, 0.0, 4, 4), (1, 2), 2)
    np.testing.assert_allclose(pixels, [[3 / 8, 0], [3 / 8, 0]], atol=1e-6)


def test_at_scale_two_pixels_lie_a_quarter_off_those_of_the_image() -> None:
    image = np.zeros((8, 8), np.float32)
    image[3] = 1
    pixels = crop(image, PyramidLevel(2.0, 0.0, 16, 16), (4, 5), 6)
    np.testing.assert_allclose(pixels[:, 0], [0, 0.25, 0.75, 0.75, 0.25, 0], atol=1e-6)


@pytest.mark.parametrize("scale", [0.33, 0.8, 1.0, 1.6])
def test_pyramid_padding_suffices_to_interpolate_at_the_image_s_edge(scale: float) -> None:
    """The result is that of 200 px of black on each side. The square extends beyond the level."""
    image = np.asarray(jax.random.uniform(jax.random.key(1), (20, 30))) + 1
    side, wide = int(30 * scale) + 20, 200
    expected = jax.image.scale_and_translate(
        jnp.asarray(np.pad(image, wide)), (side, side), (0, 1), jnp.full(2, scale),
        jnp.full(2, 10 - wide * scale), "linear",
    )  # fmt: skip
    padding = pyramid_padding([scale, 2.0])
    levels = [PyramidLevel(2.0, 0.0, 9, 9), PyramidLevel(scale, 10 - padding * scale, side, side)]
    padded = jnp.asarray(np.pad(image, padding))
    crop_traced = jax.jit(lambda level, corner: crop_level(padded, levels, level, corner, side + 6))
    pixels = crop_traced(1, jnp.array([-3, -3]))
    np.testing.assert_allclose(pixels[3:-3, 3:-3], expected, atol=1e-5)
    np.testing.assert_array_equal(pixels[-3:], 0)
    np.testing.assert_array_equal(pixels[:, -3:], 0)
    assert (np.asarray(pixels[3:-3, 3:-3]) > 1).sum() > 0.5 * 20 * 30 * scale**2
