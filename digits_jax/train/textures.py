"""Windows of texture, which is no digit: clutter as in photographs, and noise."""

import jax.numpy as jnp

from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.random_warp import Draws, between, log_uniform, random_offset
from digits_jax.train.warp import Images, Placement, place_pictures

CLUTTER_SHARE = 0.8  # of the textures; the others are noise
FINE_NOISE = 0.3  # share of the noise whose pixels are independent; the other is coarser
MAX_SLOPE = 0.035  # of the grey under the noise, a pixel along each axis


def sample_textures(draws: Draws, clutter: Images, noise: Images, placement: Placement) -> Images:
    """Draws windows of clutter or of noise.

    Args:
      draws: the source of all randomness.
      clutter: `[n, 28, 28]` float32 in 0–1, pictures of clutter.
      noise: `[n, 28, 28]` float32, independent and uniform in 0–1.
      placement: where coarse noise goes, and its blur; its scale is drawn anew.

    Returns:
      The windows, `[n, 28, 28]` float32 in 0–1.
    """
    is_clutter = (next(draws) < CLUTTER_SHARE)[:, None, None]
    clutter = place_pictures(clutter, _clutter_placement(draws))
    return jnp.where(is_clutter, clutter, _shade_noise(draws, noise, placement))


def _clutter_placement(draws: Draws) -> Placement:
    """Draws the placement of clutter, 70 % of which fills its window.

    40 % of the pictures are enlarged, so that the window shows a part of them, and 30 % are placed
    as they are. The remaining 30 % are moved by up to 10 px and end within the window, as a
    photograph on black does.
    """
    kind = next(draws)
    scale = jnp.where(kind < 0.4, log_uniform(next(draws), 1.0, 1.6), 1.0)
    max_offset = jnp.where(kind > 0.7, 10.0, (scale - 1) * INPUT_SIDE / 2)
    return Placement(scale, random_offset(draws, max_offset), jnp.ones_like(scale))


def _shade_noise(draws: Draws, noise: Images, placement: Placement) -> Images:
    """Adds noise of random coarseness and contrast to a random linear gradient of grey."""
    coarse = place_pictures(noise, placement._replace(scale=log_uniform(next(draws), 1.0, 12.0)))
    is_fine = (next(draws) < FINE_NOISE)[:, None, None]
    grains = jnp.where(is_fine, noise, coarse)
    rise_y, rise_x = (between(next(draws), -MAX_SLOPE, MAX_SLOPE)[:, None] for _ in range(2))
    grey = next(draws)
    pixel = jnp.arange(INPUT_SIDE, dtype=jnp.float32)[None] - INPUT_SIDE / 2
    gradient = (rise_y * pixel)[:, :, None] + (rise_x * pixel)[:, None, :]
    contrast = log_uniform(next(draws), 0.02, 3.0)[:, None, None]
    return jnp.clip(grey[:, None, None] + gradient + contrast * (grains - 0.5), 0.0, 1.0)
