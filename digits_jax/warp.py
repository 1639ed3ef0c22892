"""Digits as other hands would have written them: turned, slanted and elastically bent."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Float32, Key

from digits_jax.network import SIDE
from digits_jax.recipe import Recipe

SMOOTH = 4.0  # px: σ of the bend's smoothing, as Simard, Steinkraus and Platt (2003) have it
NODES = 10  # along each axis, where the bend is drawn; between them it is as smooth as asked for

Images = Float[Array, "n 28 28"]


def warp(key: Key[Array, ""], digits: Images, recipe: Recipe) -> Images:
    """Bends each digit by its own smooth map of the plane, y(p) = x(R S p + a d(p)).

    R turns by an angle uniform in ±rotation and S shears along x by a factor uniform in ±slant,
    both about the centre; d is a Gaussian field of unit variance at each pixel (the elastic
    distortion of Simard, Steinkraus and Platt, 2003), and a is uniform in 0 – elastic.

    Args:
      key: of all that is drawn here.
      digits: `[n, 28, 28]` float32.
      recipe: rotation in degrees, slant, and elastic in px.

    Returns:
      The digits, linearly interpolated; beyond the picture there is nothing.
    """
    keys = jax.random.split(key, 4)
    n = digits.shape[0]

    def uniform(key: Key[Array, ""], low: float, high: float) -> Float[Array, "n 1 1"]:
        return jax.random.uniform(key, (n, 1, 1), minval=low, maxval=high)

    angle = uniform(keys[0], -recipe.rotation, recipe.rotation) * np.float32(np.pi / 180)
    slant = uniform(keys[1], -recipe.slant, recipe.slant)
    bend = jnp.asarray(_smoothing())
    nodes = jax.random.normal(keys[2], (2, n, NODES, NODES))
    dy, dx = uniform(keys[3], 0.0, recipe.elastic)[None] * (bend @ nodes @ bend.T)

    pixel = jnp.arange(SIDE, dtype=jnp.float32) - (SIDE - 1) / 2
    y = pixel[None, :, None]
    x = pixel[None, None, :] + slant * y
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    rows = cos * y + sin * x + dy + (SIDE - 1) / 2
    columns = cos * x - sin * y + dx + (SIDE - 1) / 2
    return jax.vmap(lambda digit, *at: map_coordinates(digit, at, order=1))(digits, rows, columns)


def _smoothing() -> Float32[np.ndarray, "28 _"]:
    """From independent values at the nodes to a smooth curve of the same variance."""
    nodes = np.linspace(-SMOOTH, SIDE - 1 + SMOOTH, NODES)
    weights = np.exp(-0.5 * ((np.arange(SIDE)[:, None] - nodes) / SMOOTH) ** 2)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return weights.astype(np.float32)
