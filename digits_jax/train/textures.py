"""Windows of texture, which is no digit: clutter as in photographs, and noise."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.random_warp import log_uniform
from digits_jax.train.warp import Images, Placement, place_pictures

Keys = Iterator[Key[Array, ""]]  # each random draw takes the next

CLUTTER_SHARE = 0.8  # of the textures; the others are noise
FINE_NOISE = 0.3  # share of the noise whose pixels are independent; the other is coarser


def sample_textures(keys: Keys, clutter: Images, noise: Images, placement: Placement) -> Images:
    """Draws windows of clutter or of noise.

    Args:
      keys: the source of all randomness; three are taken.
      clutter: `[n, 28, 28]` float32 in 0–1, pictures of clutter.
      noise: `[n, 28, 28]` float32, independent and uniform in 0–1.
      placement: where coarse noise goes, and its blur; its scale is drawn anew.

    Returns:
      The windows, `[n, 28, 28]` float32 in 0–1.
    """
    n = noise.shape[0]
    is_clutter = jax.random.bernoulli(next(keys), CLUTTER_SHARE, (n,))[:, None, None]
    clutter = place_pictures(clutter, _clutter_placement(next(keys), n))
    return jnp.where(is_clutter, clutter, _shade_noise(next(keys), noise, placement))


def _clutter_placement(key: Key[Array, ""], n: int) -> Placement:
    """Draws the placement of clutter, 70 % of which fills its window.

    40 % of the pictures are enlarged, so that the window shows a part of them, and 30 % are placed
    as they are. The remaining 30 % are moved by up to 10 px and end within the window, as a
    photograph on black does.
    """
    keys = jax.random.split(key, 3)
    kind = jax.random.uniform(keys[0], (n,))
    scale = jnp.where(kind < 0.4, log_uniform(keys[1], n, 1.0, 1.6), 1.0)
    max_offset = jnp.where(kind > 0.7, 10.0, (scale - 1) * INPUT_SIDE / 2)
    offset = max_offset[:, None] * jax.random.uniform(keys[2], (n, 2), minval=-1.0)
    return Placement(scale, offset, jnp.ones(n))


def _shade_noise(key: Key[Array, ""], noise: Images, placement: Placement) -> Images:
    """Adds noise of random coarseness and contrast to a random linear gradient of grey."""
    keys = jax.random.split(key, 5)
    n = noise.shape[0]
    coarse = place_pictures(noise, placement._replace(scale=log_uniform(keys[0], n, 1.0, 12.0)))
    is_fine = jax.random.bernoulli(keys[4], FINE_NOISE, (n, 1, 1))
    grains = jnp.where(is_fine, noise, coarse)
    slope, grey = jax.random.normal(keys[1], (n, 2)) * 0.02, jax.random.uniform(keys[2], (n,))
    pixel = jnp.arange(INPUT_SIDE, dtype=jnp.float32)[None] - INPUT_SIDE / 2
    gradient = (slope[:, :1] * pixel)[:, :, None] + (slope[:, 1:] * pixel)[:, None, :]
    contrast = log_uniform(keys[3], n, 0.02, 3.0)[:, None, None]
    return jnp.clip(grey[:, None, None] + gradient + contrast * (grains - 0.5), 0.0, 1.0)
