"""Parameters, images and reductions for tests of response maps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import digits_jax
from digits_jax.models.cnn import Params
from digits_jax.models.fcn.pyramid import PyramidLevel
from digits_jax.models.fcn.response_maps import patch_maps

jitted_patch_maps = jax.jit(patch_maps)

# Tiles of at most five windows a side, in subtiles of three.
SMALL_TILES: dict[str, Any] = {"tile_windows": 5, "subtile_windows": 3}


def random_params(seed: int, scale: float = 1.0, bias: float = 0.3) -> Params:
    """Returns untrained parameters with biases, so that zero padding makes a difference."""
    keys = iter(jax.random.split(jax.random.key(seed), 9))
    params = digits_jax.init(next(keys))
    return {
        layer: {
            "kernel": leaves["kernel"] * scale,
            "bias": bias * jax.random.normal(next(keys), leaves["bias"].shape),
        }
        for layer, leaves in params.items()
    }


def assert_same_logits(logits: jax.Array, expected: jax.Array) -> None:
    """Compares to 1e-4 · max(1, the largest |logit|)."""
    assert logits.dtype == jnp.float32
    assert logits.shape == expected.shape
    tolerance = 1e-4 * max(1.0, float(jnp.abs(expected).max()))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)


def corner_and_mean(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns each window's logits, and their mean over 3×3 windows to the right and below."""
    total = lax.reduce_window(logits, 0.0, lax.add, (3, 3, 1), (1, 1, 1), "VALID")
    return logits[:-2, :-2], total / 9


def own_level(images: jax.Array) -> tuple[PyramidLevel, ...]:
    """Returns a pyramid of one level: the images themselves."""
    return (PyramidLevel(1.0, 0.0, *images.shape[1:3]),)


def whole_level(images: jax.Array, level: PyramidLevel) -> jax.Array:
    """Interpolates a whole level at once."""
    shape = (images.shape[0], level.height, level.width, 1)
    scales, begins = jnp.full(2, level.scale), jnp.full(2, level.begin)
    return jax.image.scale_and_translate(images, shape, (1, 2), scales, begins, "linear")
