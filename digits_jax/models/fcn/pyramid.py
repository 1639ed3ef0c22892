"""An image pyramid whose levels are interpolated one square at a time, as tiles need them.

No level is ever in memory as a whole: all levels together would take several times the memory of
the image.
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

    scale: float  # pixels of the level per pixel of the image
    begin: float  # pixels of the level before the image's first pixel
    height: int
    width: int


def pyramid_padding(scales: Sequence[float]) -> int:
    """Returns how many black pixels an image needs on each side to be interpolated at its edge.

    A pixel of a level reads 1 / scale image pixels to either side. It is black from 1 / scale
    pixels off the image on.
    """
    return math.ceil(2 / min(1.0, *scales)) + 1


def crop_level(
    image: Float[Array, "H W"],
    levels: Sequence[PyramidLevel],
    level: int | Int[Array, ""],
    corner: Int[Array, "2"],
    side: int,
) -> Float[Array, "s s"]:
    """Crops a square from one level of the pyramid, with bilinear interpolation.

    Where a level is smaller than the image, a pixel is the mean of the image under a triangle of
    two level pixels. At scale 1 the pixels are those of the image.

    Args:
      image: `[H, W]`, with `pyramid_padding` pixels of black on each side unless all scales are 1.
      levels: all levels of the pyramid.
      level: index of the level. It may be traced, so that one program serves all levels. Each
        square then costs as much as one of the smallest level, which covers most of the image.
      corner: row and column of the square's first pixel in the level; it may lie beyond the end.
      side: pixels along the square's side.

    Returns:
      `[side, side]`; zeros beyond the level's end.
    """
    if isinstance(level, int):
        levels, level = [levels[level]], 0
    min_scale = min(entry.scale for entry in levels)
    radius = math.ceil(1 / min(1.0, min_scale)) + 1  # image pixels that a level pixel may read
    needed_side = math.ceil(side / min_scale) + 2 * radius + 1
    size = tuple(min(needed_side, image_side) for image_side in image.shape)
    scale = jnp.array([entry.scale for entry in levels], jnp.float32)[level]
    begin = jnp.array([entry.begin for entry in levels], jnp.float32)[level]
    ends = jnp.array([(entry.height, entry.width) for entry in levels], jnp.int32)[level]
    first = (corner.astype(jnp.float32) - begin) / scale
    origin = jnp.floor(first).astype(jnp.int32) - radius
    last = [image_side - cut_side for image_side, cut_side in zip(image.shape, size, strict=True)]
    origin = jnp.clip(origin, 0, jnp.array(last, jnp.int32))
    pixels = jax.image.scale_and_translate(
        lax.dynamic_slice(image, tuple(origin), size),
        (side, side),
        (0, 1),
        jnp.broadcast_to(scale, 2),
        scale * (origin.astype(jnp.float32) - first),
        "linear",
    )
    along = jnp.arange(side, dtype=jnp.int32)
    rows, columns = (along + start < end for start, end in zip(corner, ends, strict=True))
    return jnp.where(rows[:, None] & columns[None], pixels, 0.0)
