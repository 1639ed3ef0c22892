"""Resampling of pictures into windows: scale, offset, blur, and warps of every pixel."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from digits_jax.models.cnn import INPUT_SIDE

Images = Float[Array, "n 28 28"]

MIN_SCALE = 0.2  # of what is warped; the triangle filter is then 5 px to each side
TAPS = 10  # pixels that such a filter reads at most


class Placement(NamedTuple):
    """Where a 28×28 picture goes in its window, at which size, and how blurred."""

    scale: Float[Array, " n"]  # size in the window as a factor of the picture's own
    offset: Float[Array, "n 2"]  # (y, x) from the window's centre to the picture's, px
    blur: Float[Array, " n"]  # half width of the triangle filter, px of the picture, at least 1

    @property
    def filter_width(self) -> Float[Array, " n"]:
        """Half widths of the triangle filters, px: `blur`, or a pixel of the window if wider."""
        return jnp.maximum(self.blur, 1 / self.scale)


class Warp(NamedTuple):
    """The source coordinates of every window pixel, in px from the picture's centre.

    Resampling is done in two passes: first along y, then along x (Catmull and Smith, 1980).
    """

    rows: Float[Array, "n 28 28"]  # source y by window row and picture column
    columns: Float[Array, "n 28 28"]  # source x by window row and window column


def place_pictures(pictures: Images, placement: Placement) -> Images:
    """Scales each picture and moves it to its place in a window, with linear interpolation.

    y = A_y x A_xᵀ, where A_y and A_x are triangle filters along the two axes. A triangle is as wide
    as a pixel of the coarser grid, or as `placement.blur` if that is wider. Outside the picture
    everything is 0.

    Args:
      pictures: `[n, 28, 28]` float32.
      placement: the scale, offset and blur of each picture.

    Returns:
      The windows, `[n, 28, 28]`.
    """
    along_y, along_x = (
        _triangle_weights(source_coordinates(placement, axis), placement) for axis in (0, 1)
    )
    return along_y.transpose(0, 2, 1) @ pictures @ along_x


def warp_pictures(pictures: Images, placement: Placement, warp: Warp) -> Images:
    """Resamples pictures at the source coordinates of a warp, with the filters of `place_pictures`.

    On a CPU, only the pixels under a filter are read, which takes a fifteenth of the time.
    Elsewhere, where that is not measured, all 28 are weighted.

    Args:
      pictures: `[n, 28, 28]` float32.
      placement: its scale, from `MIN_SCALE` up, and blur, up to 1 / `MIN_SCALE`, give the filters'
        widths; its offset is not used.
      warp: where each pixel of a window comes from.

    Returns:
      The windows, `[n, 28, 28]`.
    """
    resample = _gather_pixels if jax.default_backend() == "cpu" else _weight_all_pixels
    rows = resample(pictures, warp.rows, placement, 1)
    return resample(rows, warp.columns, placement, 2)


def pixel_centres() -> Float[Array, " 28"]:
    """Returns the coordinates of the pixels' centres along an axis, in px from the middle."""
    return jnp.arange(INPUT_SIDE, dtype=jnp.float32) + 0.5 - INPUT_SIDE / 2


def source_coordinates(placement: Placement, axis: int) -> Float[Array, "n 28"]:
    """Returns where a window's pixels come from along an axis, in px from the picture's centre."""
    return (pixel_centres()[None] - placement.offset[:, axis, None]) / placement.scale[:, None]


def _weight_all_pixels(
    pictures: Images, source: Float[Array, "n 28 28"], placement: Placement, axis: int
) -> Images:
    """Resamples pictures along their rows' axis, 1, or their columns', 2, at source coordinates."""
    values = pictures[:, None] if axis == 1 else pictures[..., None]
    return jnp.sum(_triangle_weights(source, placement) * values, axis=2)


def _gather_pixels(
    pictures: Images, source: Float[Array, "n 28 28"], placement: Placement, axis: int
) -> Images:
    """Resamples as `_weight_all_pixels` does, from the pixels under each filter alone."""
    width = placement.filter_width[:, None, None]
    position = source - 0.5 + INPUT_SIDE / 2  # in px from the first pixel's centre
    first = jnp.floor(position - width).astype(jnp.int32) + 1
    values, total = jnp.zeros_like(source), jnp.zeros_like(source)
    for pixel in (first + k for k in range(TAPS)):
        distance = jnp.abs(pixel.astype(jnp.float32) - position)
        weight = jnp.maximum(0.0, 1 - distance / width)
        is_inside = (pixel >= 0) & (pixel < INPUT_SIDE)
        read = jnp.take_along_axis(pictures, jnp.clip(pixel, 0, INPUT_SIDE - 1), axis=axis)
        values += jnp.where(is_inside, weight * read, 0.0)
        total += weight
    return values / total


def _triangle_weights(
    source: Float[Array, "n *m 28"], placement: Placement
) -> Float[Array, "n *m 28 28"]:
    """Returns the weight of each of a picture's 28 pixels at each source coordinate."""
    per_picture = (-1, *(1,) * (source.ndim - 1))
    width = placement.filter_width.reshape(per_picture)
    distance = jnp.abs(
        source[..., None, :] - pixel_centres().reshape((1,) * (source.ndim - 1) + (-1, 1))
    )
    weights = jnp.maximum(0.0, 1 - distance / width[..., None])
    # The weights are divided by their sum over a picture without borders, computed in closed form.
    # The sum has the nearest pixel, at distance `nearest`, and the pixels before and after it.
    nearest = source - 0.5 - jnp.round(source - 0.5)
    before, after = jnp.floor(width - nearest), jnp.floor(width + nearest)
    distances = (
        jnp.abs(nearest)
        + before * ((before + 1) / 2 + nearest)
        + after * ((after + 1) / 2 - nearest)
    )
    total = 1 + before + after - distances / width
    return weights / total[..., None, :]
