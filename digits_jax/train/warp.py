"""Where a picture goes in a window, and the interpolation that puts it there."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from digits_jax.models.cnn import INPUT_SIDE

Images = Float[Array, "n 28 28"]


class Placement(NamedTuple):
    """Where in a window a 28×28 picture goes, and how sharp it is."""

    scale: Float[Array, " n"]
    offset: Float[Array, "n 2"]  # of its centre from the window's, px
    blur: Float[Array, " n"]  # width of the interpolating triangle, px of the picture, at least 1


class Warp(NamedTuple):
    """Where the pixels of a picture that is not put in its place as it is come from.

    Source coordinates in px from the picture's centre: first the rows are resampled, by window row
    and picture column, then the columns, by window row and window column (Catmull and Smith, 1980).
    """

    rows: Float[Array, "n 28 28"]
    columns: Float[Array, "n 28 28"]


def place_pictures(pictures: Images, place: Placement) -> Images:
    """Scales each picture and moves it to its place in a window, with linear interpolation.

    A triangle filter along y and along x, y = A_y x A_xᵀ, as wide as a pixel of the coarser of the
    two grids, or as the place asks for. Beyond the picture there is nothing.
    """
    along_y, along_x = (_filters(source_coordinates(place, axis), place) for axis in (0, 1))
    return along_y.transpose(0, 2, 1) @ pictures @ along_x


def warp_pictures(pictures: Images, place: Placement, warp: Warp) -> Images:
    """`place_pictures` for a picture each of whose pixels has its own place: the same filters, one a pixel."""
    # [n, window row, picture row, picture column], then [.., .., picture column, window column]
    rows = jnp.sum(_filters(warp.rows, place) * pictures[:, None], axis=2)
    return jnp.sum(_filters(warp.columns, place) * rows[..., None], axis=2)


def pixel_centres() -> Float[Array, " 28"]:
    return jnp.arange(INPUT_SIDE, dtype=jnp.float32) + 0.5 - INPUT_SIDE / 2


def source_coordinates(place: Placement, axis: int) -> Float[Array, "n 28"]:
    """Where a window's pixels come from along an axis, in px from the picture's centre."""
    return (pixel_centres()[None] - place.offset[:, axis, None]) / place.scale[:, None]


def _filters(source: Float[Array, "n *m 28"], place: Placement) -> Float[Array, "n *m 28 28"]:
    """What each of a picture's 28 pixels along an axis counts at a source coordinate."""
    each = (-1, *(1,) * (source.ndim - 1))
    width = jnp.maximum(place.blur, 1 / place.scale).reshape(each)
    apart = jnp.abs(
        source[..., None, :] - pixel_centres().reshape((1,) * (source.ndim - 1) + (-1, 1))
    )
    weights = jnp.maximum(0.0, 1 - apart / width[..., None])
    # Their sum had the picture no end: of the nearest pixel, which is `off`, and those either side.
    off = source - 0.5 - jnp.round(source - 0.5)
    before, after = jnp.floor(width - off), jnp.floor(width + off)
    less = jnp.abs(off) + before * ((before + 1) / 2 + off) + after * ((after + 1) / 2 - off)
    total = 1 + before + after - less / width
    return weights / total[..., None, :]
