"""The answers of those tiles, and parts of tiles, that are needed.

Much of a page is blank, or beyond an image that was filled up to a shape that is compiled. What is
of one grey has one answer. On a CPU a tile of which little is left is done by its parts, which take
longer together than the tile, but each of which may be left out.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from digits_jax.models.fcn.features import STRIDE

SUBTILE = 24  # windows a side: four of the nine parts of a tile take less time than the tile

# A square of a pyramid: the image, the level, and the row and column of its first pixel there.
TileIndex = Int[Array, "4"]
Answer = Any  # arrays [h, w, …], one for each window of a square


def offset_tile(cut: TileIndex, windows: Int[Array, "2"]) -> TileIndex:
    """The square that begins so many windows further down and to the right."""
    return cut + STRIDE * jnp.concatenate([jnp.zeros(2, jnp.int32), windows])


def sparse_tile_outputs(
    cuts: Sequence[Int[np.ndarray, "_ 4"]],
    left: Int[Array, "m 2"],
    side: int,
    overlap: int,
    pixels: Callable[[TileIndex, int, int], Float[Array, "H W"]],
    answer: Callable[[TileIndex, int], Answer],
    answer_grey: Callable[[Float[Array, ""], int], Answer],
) -> Any:
    """The answers of many tiles, right where they are needed.

    First it is found out what there is to do; then loops go over that and over nothing else.

    Args:
      cuts: of the tiles, m in all, by level.
      left: how many rows and columns of each tile are needed; zero or less is none.
      side: windows along a tile's side.
      overlap: windows that neighbours share.
      pixels: those that the windows of a square of so many a side read; of which level is known.
      answer: the answers of such a square's windows.
      answer_grey: the same of one whose pixels are all of one grey.

    Returns:
      Arrays `[m, side, side, …]`.
    """
    # An accelerator is not filled by a part.
    part = min(side, SUBTILE - overlap) if jax.default_backend() == "cpu" else side
    along = np.linspace(0, side - part, -(-side // part)).astype(np.int32)
    places = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    corners, all_cuts = jnp.asarray(places), jnp.concatenate(cuts)

    def extremes(level: int, cut: TileIndex) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        tile = pixels(cut, side, level)
        seen = len(tile) - STRIDE * (side - part)
        begins = (STRIDE * places).tolist()
        squares = jnp.stack([tile[y : y + seen, x : x + seen] for y, x in begins])
        return squares.min(axis=(1, 2)), squares.max(axis=(1, 2))

    each_level = [lax.map(partial(extremes, k), jnp.asarray(of)) for k, of in enumerate(cuts)]
    darkest, brightest = (jnp.concatenate(of) for of in zip(*each_level, strict=True))
    asked = (corners[None] < left[:, None]).all(axis=-1)
    busy = asked & (darkest != brightest)  # also where one is not a number
    whole = 2 * busy.sum(axis=1, keepdims=True) > len(corners)

    def each(
        chosen: Bool[Array, "m p"],
        do: Callable[[TileIndex, Float[Array, ""]], Answer],
        answers: Any,
    ) -> Any:
        which = jnp.nonzero(chosen.ravel(), size=chosen.size)[0].astype(jnp.int32)

        def body(i: Int[Array, ""], answers: Any) -> Any:
            k, p = jnp.divmod(which[i], chosen.shape[1])
            new = do(offset_tile(all_cuts[k], corners[p]), darkest[k, p])
            at = (k, *corners[p])
            return jax.tree.map(
                lambda array, one: lax.dynamic_update_slice(
                    array, one[None], (*at, *[0] * (array.ndim - len(at)))
                ),
                answers,
                new,
            )

        return lax.fori_loop(0, chosen.sum(), body, answers)

    black = answer_grey(jnp.zeros((), jnp.float32), side)
    answers = jax.tree.map(lambda array: jnp.broadcast_to(array, (len(left), *array.shape)), black)
    other_greys = asked & ~busy & ~whole & (darkest != 0)
    answers = each(other_greys, lambda _, grey: answer_grey(grey, part), answers)
    if part < side:
        answers = each(busy & ~whole, lambda cut, _: answer(cut, part), answers)
    return each(whole, lambda cut, _: answer(cut, side), answers)
