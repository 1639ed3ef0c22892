"""Tiles of several pyramid levels fit together to whole maps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from map_cases import (
    SMALL_TILES,
    assert_same_logits,
    corner_and_mean,
    jitted_patch_maps,
    own_level,
    random_params,
    whole_level,
)

from digits_jax.models.cnn import Params
from digits_jax.models.fcn.pyramid import PyramidLevel
from digits_jax.models.fcn.response_maps import patch_maps
from digits_jax.models.fcn.tiling import _tile_side, map_size, pyramid_maps


@pytest.mark.slow
def test_tiles_of_several_levels_fit_together(four_images: jax.Array) -> None:
    """7×13, 5×5 and 14×1 windows, in tiles that divide at most one of these sides.

    The batch is spread over the devices. `reduce_fn` reads a window's neighbours, which lie in the
    next tile. One level is the images themselves, one is larger and cut off, and one is smaller,
    with much black around.
    """
    params = random_params(5)
    pyramid = (
        PyramidLevel(1.0, -5.0, 45, 56),
        PyramidLevel(1.3, -6.5, 40, 41),
        PyramidLevel(0.55, 6.0, 58, 32),
    )
    windows = [(map_size(level.height) - 2, map_size(level.width) - 2) for level in pyramid]
    assert windows == [(7, 13), (5, 5), (14, 1)]
    side = _tile_side(windows, 2, SMALL_TILES["tile_windows"], dense=True)
    assert side <= 3
    assert 7 % side or 13 % side
    maps = pyramid_maps(params, four_images, pyramid, corner_and_mean, 2, **SMALL_TILES)
    np.testing.assert_array_equal(whole_level(four_images, pyramid[0]), four_images[:, 5:50, 5:61])
    for (corner, mean), level, (h, w) in zip(maps, pyramid, windows, strict=True):
        logits = jitted_patch_maps(params, whole_level(four_images, level)).logits
        assert logits.shape == (4, h + 2, w + 2, 10)
        assert_same_logits(corner, logits[:, :h, :w])
        shifted = [logits[:, y : y + h, x : x + w] for y in range(3) for x in range(3)]
        assert_same_logits(mean, jnp.stack(shifted).mean(axis=0))


@pytest.mark.slow
def test_gradients_over_two_tiles_equal_those_of_the_patches() -> None:
    """Gradients with respect to parameters and pixels. Random pixels have no ties."""
    params = random_params(6)
    image = jax.random.uniform(jax.random.key(7), (1, 31, 38, 1))
    weights = jax.random.normal(jax.random.key(8), (1, 2, 6, 10))
    assert _tile_side([(2, 6)], 0, SMALL_TILES["tile_windows"], dense=True) < 6

    def gradient(logits: Callable[[Params, jax.Array], jax.Array]) -> tuple[Params, jax.Array]:
        return jax.jit(jax.grad(lambda p, x: (logits(p, x) * weights).sum(), (0, 1)))(params, image)

    tiled = gradient(lambda p, x: pyramid_maps(p, x, own_level(x), **SMALL_TILES)[0])
    expected = gradient(lambda p, x: patch_maps(p, x).logits)
    for array, other in zip(jax.tree.leaves(tiled), jax.tree.leaves(expected), strict=True):
        largest = float(jnp.abs(other).max())
        assert largest > 0
        np.testing.assert_allclose(array, other, rtol=0, atol=1e-4 * largest)


def test_map_size_counts_windows_at_stride_2() -> None:
    sides = [map_size(pixels) for pixels in (28, 29, 30, 31, 140, 4096)]
    assert sides == [1, 1, 2, 2, 57, 2035]
