"""Random geometry of training windows: warps, offsets, sizes and blur."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.config import TrainConfig
from digits_jax.train.warp import Placement, Warp, pixel_centres, source_coordinates

MAX_BLUR_PX = 2.6  # as of a digit of 15 px a side, enlarged to 28
KNOTS = 5  # of the displacement field along each axis; it is linear between them


def random_warp(key: Key[Array, ""], placement: Placement, config: TrainConfig) -> Warp:
    """Draws a rotation, a shear, an aspect and an elastic displacement for each picture.

    With source coordinates (y, x) before the warp, t = tan(rotation), s the shear, a the aspect,
    u_y and u_x the displacements (Simard, Steinkraus and Platt, 2003), and x' the picture's column:

    rows = a y − t x' + u_y,    columns = x / a + (t + s) y + u_x

    Args:
      key: the source of all randomness.
      placement: where the pictures go.
      config: the largest amounts: `rotation_deg`, `shear`, `aspect` and `elastic_sigma_px`.

    Returns:
      The source coordinates, for `warp_pictures`.
    """
    keys = jax.random.split(key, 4)
    n = placement.scale.shape[0]
    tangent, shear = jax.random.uniform(keys[0], (2, n, 1, 1), minval=-1.0) * jnp.array(
        [jnp.tan(jnp.deg2rad(config.rotation_deg)), config.shear]
    ).reshape(2, 1, 1, 1)
    aspect = log_uniform(keys[1], n, 1 / config.aspect, config.aspect)[:, None, None]
    sigma = jax.random.uniform(keys[2], (n, 1, 1)) * config.elastic_sigma_px
    knots = jax.random.normal(keys[3], (2, n, KNOTS, KNOTS))
    distance = (
        jnp.linspace(0, KNOTS - 1, INPUT_SIDE)[:, None] - jnp.arange(KNOTS, dtype=jnp.float32)[None]
    )
    weights = jnp.maximum(0.0, 1 - jnp.abs(distance))  # [28, KNOTS], of linear interpolation
    displacement = sigma[None] * jnp.einsum("ik,ankl,jl->anij", weights, knots, weights)
    y, x = (source_coordinates(placement, axis) for axis in (0, 1))
    column = pixel_centres()[None, None]
    return Warp(
        y[:, :, None] * aspect - tangent * column + displacement[0],
        x[:, None] / aspect + (tangent + shear) * y[:, :, None] + displacement[1],
    )


def random_blur(key: Key[Array, ""], n: int) -> Float[Array, " n"]:
    """Draws `Placement.blur` for n pictures, in px: log-uniform in 1–2.6 for 40 %, else 1 (sharp).

    A digit of fewer than 28 px a side is blurred like this when it is enlarged to 28.
    """
    keys = jax.random.split(key)
    blurred = jax.random.bernoulli(keys[0], 0.4, (n,))
    return jnp.where(blurred, log_uniform(keys[1], n, 1.0, MAX_BLUR_PX), 1.0)


def log_uniform(key: Key[Array, ""], n: int, low: float, high: float) -> Float[Array, " n"]:
    """Draws n numbers whose logarithms are uniform between those of low and high."""
    return jnp.exp(jax.random.uniform(key, (n,), minval=jnp.log(low), maxval=jnp.log(high)))


def random_offset_on_square(
    key: Key[Array, ""], n: int, low: Float[Array, " n"], high: Float[Array, " n"]
) -> Float[Array, "n 2"]:
    """Draws n points on the outlines of squares around the centre.

    Args:
      key: the source of all randomness.
      n: the number of points.
      low: the least half side of each square, px.
      high: the largest half side of each square, px. The half side is uniform in between.

    Returns:
      The points as (y, x) from the centre, px.
    """
    keys = jax.random.split(key, 4)
    half_side = low + (high - low) * jax.random.uniform(keys[0], (n,))
    across = jnp.where(jax.random.bernoulli(keys[1], shape=(n,)), half_side, -half_side)
    along = half_side * jax.random.uniform(keys[2], (n,), minval=-1.0)
    point = jnp.stack([across, along], axis=-1)
    on_top_or_bottom = jax.random.bernoulli(keys[3], shape=(n,))  # else on the left or right side
    return jnp.where(on_top_or_bottom[:, None], point, point[:, ::-1])
