"""Computes only the tiles, and the subtiles of tiles, that are needed and not blank.

Much of a page is blank, or lies in the padding up to a compiled shape. All windows of one grey
value have the same output. On a CPU, a tile of which little is needed is computed in subtiles. All
subtiles together take longer than the tile, but each may be skipped.
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

# Windows along a subtile's side. A tile has nine subtiles; four of them take less time than it.
SUBTILE_WINDOWS = 24

# A square of a pyramid: the image, the level, and the row and column of its first pixel there.
TileIndex = Int[Array, "4"]
Outputs = Any  # arrays [h, w, …], one element for each window of a square


def offset_tile(tile: TileIndex, windows: Int[Array, "2"]) -> TileIndex:
    """Returns the square that begins further down and to the right by a number of windows."""
    return tile + STRIDE * jnp.concatenate([jnp.zeros(2, jnp.int32), windows])


def sparse_tile_outputs(
    tiles: Sequence[Int[np.ndarray, "_ 4"]],
    remaining: Int[Array, "m 2"],
    side: int,
    overlap: int,
    pixels: Callable[[TileIndex, int, int], Float[Array, "H W"]],
    compute: Callable[[TileIndex, int], Outputs],
    compute_grey: Callable[[Float[Array, ""], int], Outputs],
    *,
    subtile_windows: int = SUBTILE_WINDOWS,
) -> Any:
    """Computes the outputs of many tiles, correct wherever they are needed.

    It first decides which tiles and subtiles need computing, and then loops over these only.

    Args:
      tiles: the tile indices of each level, m in all.
      remaining: how many rows and columns of each tile are needed; zero or less means none.
      side: windows along a tile's side.
      overlap: windows that neighbouring tiles share.
      pixels: `pixels(tile, side, level)` crops what the windows of a square read; the level is a
        Python number.
      compute: `compute(tile, side)` returns the outputs of a square's windows.
      compute_grey: `compute_grey(grey, side)` returns the outputs of a square of one grey value.
      subtile_windows: windows along a subtile's side, those that subtiles share included.

    Returns:
      Arrays `[m, side, side, …]`. Where nothing is needed they hold the outputs of black.
    """
    # Subtiles are too small to fill an accelerator.
    on_cpu = jax.default_backend() == "cpu"
    subtile_side = min(side, subtile_windows - overlap) if on_cpu else side
    starts = np.linspace(0, side - subtile_side, -(-side // subtile_side)).astype(np.int32)
    offsets = np.stack(np.meshgrid(starts, starts, indexing="ij"), axis=-1).reshape(-1, 2)
    corners, all_tiles = jnp.asarray(offsets), jnp.concatenate(tiles)

    def extremes(level: int, tile: TileIndex) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """Returns the darkest and brightest pixel of each subtile."""
        crop = pixels(tile, side, level)
        subtile_pixels = len(crop) - STRIDE * (side - subtile_side)
        begins = (STRIDE * offsets).tolist()
        subtiles = jnp.stack(
            [crop[y : y + subtile_pixels, x : x + subtile_pixels] for y, x in begins]
        )
        return subtiles.min(axis=(1, 2)), subtiles.max(axis=(1, 2))

    by_level = [lax.map(partial(extremes, k), jnp.asarray(level)) for k, level in enumerate(tiles)]
    darkest, brightest = (jnp.concatenate(values) for values in zip(*by_level, strict=True))
    is_needed = (corners[None] < remaining[:, None]).all(axis=-1)
    is_busy = is_needed & (darkest != brightest)  # True for NaN
    is_whole = 2 * is_busy.sum(axis=1, keepdims=True) > len(corners)  # more than half is busy

    def update(
        selected: Bool[Array, "m p"],
        compute_selected: Callable[[TileIndex, Float[Array, ""]], Outputs],
        outputs: Any,
    ) -> Any:
        indices = jnp.nonzero(selected.ravel(), size=selected.size)[0].astype(jnp.int32)

        def body(i: Int[Array, ""], outputs: Any) -> Any:
            k, p = jnp.divmod(indices[i], selected.shape[1])
            new = compute_selected(offset_tile(all_tiles[k], corners[p]), darkest[k, p])
            start = (k, *corners[p])
            return jax.tree.map(
                lambda array, block: lax.dynamic_update_slice(
                    array, block[None], (*start, *[0] * (array.ndim - len(start)))
                ),
                outputs,
                new,
            )

        return lax.fori_loop(0, selected.sum(), body, outputs)

    black = compute_grey(jnp.zeros((), jnp.float32), side)
    outputs = jax.tree.map(
        lambda array: jnp.broadcast_to(array, (len(remaining), *array.shape)), black
    )
    is_grey = is_needed & ~is_busy & ~is_whole & (darkest != 0)
    outputs = update(is_grey, lambda _, grey: compute_grey(grey, subtile_side), outputs)
    if subtile_side < side:
        outputs = update(is_busy & ~is_whole, lambda tile, _: compute(tile, subtile_side), outputs)
    return update(is_whole, lambda tile, _: compute(tile, side), outputs)
