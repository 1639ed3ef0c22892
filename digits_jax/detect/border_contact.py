"""Whether the strokes that a window is centred on end inside it, as those of a whole digit do."""

from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, UInt32

from digits_jax.images.ink import INK_THRESHOLD
from digits_jax.models.cnn import INPUT_SIDE

MIDDLE = 16  # px of the window's side in which a digit's own strokes are looked for

Rows = UInt32[Array, "k 28"]  # windows' pixels, a bit each


def border_contact(windows: Float[Array, "k 28 28"]) -> Float[Array, " k"]:
    """How much of each window's edge is crossed by strokes that pass through its middle.

    Ink is what has more than 0.15 of the window's brightest pixel. From that in the middle 16×16
    pixels on, strokes are followed over pixels that share a side or a corner.

    Args:
      windows: `[k, 28, 28]` in 0–1, ink bright.

    Returns:
      The pixels of the edge that they reach, as a share of a side; 0 where they end inside.
    """
    ink = windows > INK_THRESHOLD * windows.max(axis=(1, 2), keepdims=True)
    rows = _packed(ink)
    first = (INPUT_SIDE - MIDDLE) // 2
    middle = jnp.zeros((1, INPUT_SIDE, INPUT_SIDE), bool)
    middle = middle.at[:, first : first + MIDDLE, first : first + MIDDLE].set(True)
    strokes = _followed(rows & _packed(middle), rows)
    edge = jnp.ones((1, INPUT_SIDE, INPUT_SIDE), bool).at[:, 1:-1, 1:-1].set(False)
    reached = lax.population_count(strokes & _packed(edge)).sum(axis=1)
    return reached.astype(jnp.float32) / INPUT_SIDE


def _packed(pixels: Bool[Array, "k 28 28"]) -> Rows:
    bits = jnp.uint32(1) << jnp.arange(INPUT_SIDE, dtype=jnp.uint32)
    return jnp.where(pixels, bits, jnp.uint32(0)).sum(axis=2, dtype=jnp.uint32)


def _followed(begun: Rows, ink: Rows) -> Rows:
    """The ink that is connected to what is begun with."""

    def grown(strokes: Rows) -> Rows:
        beside = strokes | strokes << jnp.uint32(1) | strokes >> jnp.uint32(1)
        framed = jnp.pad(beside, ((0, 0), (1, 1)))
        return ink & reduce(jnp.bitwise_or, (framed[:, :-2], beside, framed[:, 2:]))

    def grow(state: tuple[Rows, Rows]) -> tuple[Rows, Rows]:
        return state[1], grown(state[1])

    def growing(state: tuple[Rows, Rows]) -> Bool[Array, ""]:
        return (state[0] != state[1]).any()

    return lax.while_loop(growing, grow, (begun, grown(begun)))[1]
