"""Random geometry of training windows: warps, offsets, sizes and blur."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.config import TrainConfig
from digits_jax.train.warp import Placement, Warp, pixel_centres, source_coordinates

# Uniform numbers in 0–1, one for each window; each choice takes the next. All are drawn at once,
# since a program with a generator for each of fifty choices takes seconds to compile.
Draws = Iterator[Float[Array, " n"]]

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
    aspect = log_uniform(jax.random.uniform(keys[1], (n,)), 1 / config.aspect, config.aspect)
    aspect = aspect[:, None, None]
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


def random_blur(draws: Draws) -> Float[Array, " n"]:
    """Draws `Placement.blur`, in px: log-uniform in 1–2.6 for 40 %, else 1 (sharp).

    A digit of fewer than 28 px a side is blurred like this when it is enlarged to 28.

    Args:
      draws: the source of all randomness; two are taken.
    """
    is_blurred = next(draws) < 0.4
    return jnp.where(is_blurred, log_uniform(next(draws), 1.0, MAX_BLUR_PX), 1.0)


def log_uniform(uniform: Float[Array, " n"], low: float, high: float) -> Float[Array, " n"]:
    """Turns uniform numbers in 0–1 into ones that are uniform on a log axis from low to high."""
    return jnp.exp(between(uniform, jnp.log(low), jnp.log(high)))


def between(
    uniform: Float[Array, "..."],
    low: Float[Array, "..."] | float,
    high: Float[Array, "..."] | float,
) -> Float[Array, "..."]:
    """Turns uniform numbers in 0–1 into uniform numbers from low to high."""
    return low + (high - low) * uniform


def random_offset(draws: Draws, limit: Float[Array, " n"] | float) -> Float[Array, "n 2"]:
    """Draws points in squares around the centre, as (y, x) in px.

    Args:
      draws: the source of all randomness; two are taken.
      limit: half the side of the squares, px.
    """
    return jnp.stack([between(next(draws), -limit, limit) for _ in range(2)], axis=-1)


def random_offset_on_square(
    draws: Draws, low: Float[Array, " n"] | float, high: Float[Array, " n"] | float
) -> Float[Array, "n 2"]:
    """Draws points on the outlines of squares around the centre.

    Args:
      draws: the source of all randomness; four are taken.
      low: the least half side of each square, px.
      high: the largest half side of each square, px. The half side is uniform in between.

    Returns:
      The points as (y, x) from the centre, px.
    """
    half_side = between(next(draws), low, high)
    across = jnp.where(next(draws) < 0.5, half_side, -half_side)
    along = between(next(draws), -half_side, half_side)
    point = jnp.stack([across, along], axis=-1)
    on_top_or_bottom = next(draws) < 0.5  # else on the left or right side
    return jnp.where(on_top_or_bottom[:, None], point, point[:, ::-1])
