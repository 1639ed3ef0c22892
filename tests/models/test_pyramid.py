import jax
import jax.numpy as jnp
import numpy as np
import pytest

from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level, pyramid_padding


def cut(image: np.ndarray, level: PyramidLevel, corner: tuple[int, int], side: int) -> np.ndarray:
    return np.asarray(crop_level(jnp.asarray(image), [level], 0, jnp.array(corner), side))


def test_at_half_the_size_a_pixel_is_the_mean_of_four() -> None:
    """Under a triangle of two pixels of the level: an eighth, three, three and one."""
    image = np.zeros((8, 8), np.float32)
    image[:, 4] = 1
    found = cut(image, PyramidLevel(0.5, 0.0, 4, 4), (1, 0), 2)
    np.testing.assert_allclose(found, [[0, 1 / 8], [0, 1 / 8]], atol=1e-6)
    found = cut(image, PyramidLevel(0.5, 0.0, 4, 4), (1, 2), 2)
    np.testing.assert_allclose(found, [[3 / 8, 0], [3 / 8, 0]], atol=1e-6)


def test_at_twice_the_size_a_pixel_is_a_quarter_off_those_of_the_image() -> None:
    image = np.zeros((8, 8), np.float32)
    image[3] = 1
    found = cut(image, PyramidLevel(2.0, 0.0, 16, 16), (4, 5), 6)
    np.testing.assert_allclose(found[:, 0], [0, 0.25, 0.75, 0.75, 0.25, 0], atol=1e-6)


@pytest.mark.parametrize("scale", [0.33, 0.8, 1.0, 1.6])
def test_the_image_fades_into_black_as_if_there_were_much_of_it(scale: float) -> None:
    """With no more than the rim around it, and squares that begin beyond."""
    image = np.asarray(jax.random.uniform(jax.random.key(1), (20, 30))) + 1
    side, wide = int(30 * scale) + 20, 200
    expected = jax.image.scale_and_translate(
        jnp.asarray(np.pad(image, wide)), (side, side), (0, 1), jnp.full(2, scale),
        jnp.full(2, 10 - wide * scale), "linear",
    )  # fmt: skip
    edge = pyramid_padding([scale, 2.0])
    levels = [PyramidLevel(2.0, 0.0, 9, 9), PyramidLevel(scale, 10 - edge * scale, side, side)]
    padded = jnp.asarray(np.pad(image, edge))
    cut_out = jax.jit(lambda level, corner: crop_level(padded, levels, level, corner, side + 6))
    found = cut_out(1, jnp.array([-3, -3]))
    np.testing.assert_allclose(found[3:-3, 3:-3], expected, atol=1e-5)
    np.testing.assert_array_equal(found[-3:], 0)
    np.testing.assert_array_equal(found[:, -3:], 0)
    assert (np.asarray(found[3:-3, 3:-3]) > 1).sum() > 0.5 * 20 * 30 * scale**2
