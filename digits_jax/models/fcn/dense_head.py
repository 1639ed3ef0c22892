"""Layers 6–8 of every window of an image, computed from the cells of `window_features`.

Layer 6 reads seven by seven cells of a window, which lie two cells apart in the image (section 2.4
of the paper). One dot per tap costs 6.4 MFLOP a window. Of the seven taps along an axis, the inner
three read one map for all windows, so that neighbouring windows can share products there by minimal
filtering (`winograd`). That leaves 4.3 MFLOP. Cutting out each window and classifying it costs 28
MFLOP.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from digits_jax.models.cnn import Params
from digits_jax.models.fcn import winograd
from digits_jax.models.fcn.features import CELL_CLASSES, Grid, Maps
from digits_jax.models.mixed_precision import Dot, dot_with_precision

# Taps of layer 6 along an axis: the inner ones read cells of one class, the outer ones do not.
INNER_TAPS, OUTER_TAPS = (2, 3, 4), (0, 1, 5, 6)

Size = tuple[Any, Any]  # windows down and across; symbolic in an export for any size
Logits = Float[Array, "m n 10"]
Cells = Callable[..., Grid]  # takes a tap's row and column, and how many rows or columns to add
Layer6 = Callable[[Cells], Float[Array, "m n o"]]


def dense_head(params: Params, *, precision: lax.Precision) -> Callable[[Maps, Size], Logits]:
    """Returns a function that computes layers 6–8 of the windows of a tile.

    The work on the parameters, which all tiles share, is done here once.

    Args:
      params: as `init` or `load_checkpoint` return them.
      precision: of the dots, as for `window_features`.

    Returns:
      `logits(maps, (h, w))`: the logits of the first h × w windows of `window_features`' maps.
    """
    dot = dot_with_precision(precision)
    # Below HIGHEST dots round their factors, and rounded sums of cells would lose too much.
    use_winograd = precision is lax.Precision.HIGHEST
    layer_6 = (_layer_6 if use_winograd else _layer_6_tap_by_tap)(params["dense1"]["kernel"], dot)

    def logits(maps: Maps, size: Size) -> Logits:
        def cells(q: int, p: int, down: int = 0, across: int = 0) -> Grid:
            """Returns the cell in row q, column p of every window's seven by seven.

            The map has `down` rows and `across` columns more than there are windows.
            """
            grid = maps[CELL_CLASSES[q], CELL_CLASSES[p]]
            y, x = 2 * q, 2 * p
            return grid[y : y + size[0] + down, x : x + size[1] + across]

        x = jax.nn.relu(layer_6(cells) + params["dense1"]["bias"][None, None])
        return dot(x, params["dense2"]["kernel"]) + params["dense2"]["bias"][None, None]

    return logits


def _layer_6_tap_by_tap(kernel: Float[Array, "k o"], dot: Dot) -> Layer6:
    """Returns layer 6 without its bias, as one dot with the features of every window."""

    def layer_6(cells: Cells) -> Float[Array, "m n o"]:
        features = [cells(q, p) for q in range(7) for p in range(7)]
        return dot(lax.optimization_barrier(jnp.concatenate(features, axis=-1)), kernel)

    return layer_6


def _layer_6(kernel: Float[Array, "k o"], dot: Dot) -> Layer6:
    """Returns layer 6 without its bias, with fewer products.

    Minimal filtering computes the inner columns of all seven rows, and the inner rows of the outer
    columns. One dot computes the remaining four by four taps.
    """
    kernel = kernel.reshape(7, 7, -1, kernel.shape[1])
    inner, outer = jnp.array(INNER_TAPS), jnp.array(OUTER_TAPS)
    corner_kernel = kernel[outer][:, outer].reshape(-1, kernel.shape[3])
    row_kernel = winograd.transform_kernel(kernel[:, inner].swapaxes(0, 1))
    column_kernel = winograd.transform_kernel(kernel[inner][:, outer])

    def layer_6(cells: Cells) -> Float[Array, "m n o"]:
        corners = [cells(q, p) for q in OUTER_TAPS for p in OUTER_TAPS]
        gathered = lax.optimization_barrier(jnp.concatenate(corners, axis=-1))
        rows = [cells(q, INNER_TAPS[0], across=winograd.HALO) for q in range(7)]
        columns = [cells(INNER_TAPS[0], p, down=winograd.HALO) for p in OUTER_TAPS]
        return (
            lax.optimization_barrier(dot(gathered, corner_kernel))
            + winograd.filter_three_taps(rows, row_kernel, 1, dot)
            + winograd.filter_three_taps(columns, column_kernel, 0, dot)
        )

    return layer_6
