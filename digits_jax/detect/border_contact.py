"""Border contact: how much of a window's border the strokes from its centre touch.

The strokes of a whole digit end inside its window; those of a part run on beyond it.
"""

from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, UInt32

from digits_jax.detect.steps import BorderContactConfig
from digits_jax.images.mask_box import INK_THRESHOLD
from digits_jax.models.cnn import INPUT_SIDE

# The pixels of windows: a word for each row, a bit for each pixel.
PackedRows = UInt32[Array, "k 28"]


def border_contact(
    windows: Float[Array, "k 28 28"], config: BorderContactConfig
) -> Float[Array, " k"]:
    """Returns how much of each window's border is touched by strokes that pass through its centre.

    Ink is every pixel above 0.15 of the window's brightest one. From the ink of the centred square,
    strokes are followed over pixels that share a side or a corner.

    Args:
      windows: `[k, 28, 28]` in 0–1, ink bright.
      config: the side of the centred square.

    Returns:
      `[k]` the number of border pixels that strokes reach, divided by 28; 0 if all end inside.
    """
    ink = windows > INK_THRESHOLD * windows.max(axis=(1, 2), keepdims=True)
    rows = _pack(ink)
    first = (INPUT_SIDE - config.centre_side) // 2
    span = slice(first, first + config.centre_side)
    centre = jnp.zeros((1, INPUT_SIDE, INPUT_SIDE), bool).at[:, span, span].set(True)
    strokes = _flood_fill(rows & _pack(centre), rows)
    border = jnp.ones((1, INPUT_SIDE, INPUT_SIDE), bool).at[:, 1:-1, 1:-1].set(False)
    touched = lax.population_count(strokes & _pack(border)).sum(axis=1)
    return touched.astype(jnp.float32) / INPUT_SIDE


def _pack(pixels: Bool[Array, "k 28 28"]) -> PackedRows:
    """Packs each row of pixels into a word, the leftmost pixel into its lowest bit."""
    bits = jnp.uint32(1) << jnp.arange(INPUT_SIDE, dtype=jnp.uint32)
    return jnp.where(pixels, bits, jnp.uint32(0)).sum(axis=2, dtype=jnp.uint32)


def _flood_fill(seeds: PackedRows, ink: PackedRows) -> PackedRows:
    """Returns the ink that is 8-connected to the seeds."""

    def dilate(strokes: PackedRows) -> PackedRows:
        wide = strokes | strokes << jnp.uint32(1) | strokes >> jnp.uint32(1)
        padded = jnp.pad(wide, ((0, 0), (1, 1)))
        return ink & reduce(jnp.bitwise_or, (padded[:, :-2], wide, padded[:, 2:]))

    def step(state: tuple[PackedRows, PackedRows]) -> tuple[PackedRows, PackedRows]:
        return state[1], dilate(state[1])

    def changed(state: tuple[PackedRows, PackedRows]) -> Bool[Array, ""]:
        return (state[0] != state[1]).any()

    return lax.while_loop(changed, step, (seeds, dilate(seeds)))[1]
