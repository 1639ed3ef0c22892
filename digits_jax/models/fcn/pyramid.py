"""Images at other scales, of which squares are interpolated as they are needed.

No level is ever whole: all of them together would take several times the memory of the image.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


class PyramidLevel(NamedTuple):
    """An image at a scale, with black around it."""

    scale: float  # px of the level for each of the image
    begin: float  # px of the level before the image's first
    height: int
    width: int


def pyramid_padding(scales: Sequence[float]) -> int:
    """How many px of black an image needs around it to be interpolated right at its edge.

    A pixel of a level sees 1 / scale to either side, and is black from 1 / scale off the image on.
    """
    return math.ceil(2 / min(1.0, *scales)) + 1


def crop_level(
    image: Float[Array, "H W"],
    levels: Sequence[PyramidLevel],
    level: int | Int[Array, ""],
    corner: Int[Array, "2"],
    side: int,
) -> Float[Array, "s s"]:
    """A square of one level, interpolated bilinearly, each axis for itself.

    Where a level is smaller than the image, a pixel is the mean of those under a triangle of two
    pixels of the level. At a scale of 1 the pixels are the image's own.

    Args:
      image: `[H, W]`, with `pyramid_padding` pixels of black around it unless all scales are 1.
      levels: all that may be asked for.
      level: which of these. It may be traced, so that one program serves all, at the cost of the
        smallest, of which a square sees most of the image.
      corner: row and column of the square's first pixel in the level; it may lie beyond the end.
      side: pixels along the square's side.

    Returns:
      `[side, side]`; zeros beyond the level's end.
    """
    if isinstance(level, int):
        levels, level = [levels[level]], 0
    least = min(of.scale for of in levels)
    reach = math.ceil(1 / min(1.0, least)) + 1  # px of the image that a pixel looks around
    seen = math.ceil(side / least) + 2 * reach + 1
    size = tuple(min(seen, of_image) for of_image in image.shape)
    scale = jnp.array([of.scale for of in levels], jnp.float32)[level]
    begin = jnp.array([of.begin for of in levels], jnp.float32)[level]
    ends = jnp.array([(of.height, of.width) for of in levels], jnp.int32)[level]
    first = (corner.astype(jnp.float32) - begin) / scale
    around = jnp.floor(first).astype(jnp.int32) - reach
    last = [of_image - of_square for of_image, of_square in zip(image.shape, size, strict=True)]
    around = jnp.clip(around, 0, jnp.array(last, jnp.int32))
    pixels = jax.image.scale_and_translate(
        lax.dynamic_slice(image, tuple(around), size),
        (side, side),
        (0, 1),
        jnp.broadcast_to(scale, 2),
        scale * (around.astype(jnp.float32) - first),
        "linear",
    )
    along = jnp.arange(side, dtype=jnp.int32)
    rows, columns = (along + of < end for of, end in zip(corner, ends, strict=True))
    return jnp.where(rows[:, None] & columns[None], pixels, 0.0)
