"""The dense layers of every window of an image, as a convolution of the cells that `tile` computes.

The trained weights of layer 6 read seven by seven cells of a window, two cells apart in the image
(section 2.4 of the paper, which leaves the windows' edges open). One product a window's features
costs 6.4 MFLOP. Of the seven taps along an axis, though, the inner three read one map, whatever the
window, so that neighbouring windows can share products there: minimal filtering (Winograd, 1980;
Lavin and Gray, 2016). It leaves 4.3. Cutting the windows out and classifying each costs 28.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from digits_jax.models.cnn import Params
from digits_jax.models.fcn.features import CELLS, Grid, Maps
from digits_jax.models.mixed_precision import Dot, dot_with_precision

# The taps of the dense layer along an axis whose cells are all of one class, and those around them.
INNER, OUTER = (2, 3, 4), (0, 1, 5, 6)
BEYOND = 2 * (INNER[-1] - INNER[0])  # cells from the first of the inner taps to the last

# Four neighbouring sums of three taps k of cells d: A (G k ∘ B d), six products instead of twelve.
A = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
B = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
     (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
G = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
     (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
SUMS = 4
FRAME = 2 * SUMS  # windows along an axis that share products: even ones, and odd ones

Size = tuple[Any, Any]  # numbers, or names for them where the program is for any size
Logits = Float[Array, "m n 10"]
Cells = Callable[..., Grid]  # of a tap, row and column, with more rows or columns if asked to
Layer6 = Callable[[Cells], Float[Array, "m n o"]]


def dense_head(params: Params, *, precision: lax.Precision) -> Callable[[Maps, Size], Logits]:
    """Layers 6–8 of the windows whose cells `tile_maps` gives.

    What can be done once for all tiles is done here.

    Args:
      params: as `init` or `load_checkpoint` return them.
      precision: of the products, as for `tile_maps`.

    Returns:
      `logits(maps, (h, w))`, of the first h × w windows.
    """
    dot = dot_with_precision(precision)
    # Rounded factors are for products of their own: sums of cells, rounded, lose too much.
    filters = precision is lax.Precision.HIGHEST
    layer_6 = (_layer_6 if filters else _layer_6_tap_by_tap)(params["dense1"]["kernel"], dot)

    def logits(maps: Maps, size: Size) -> Logits:
        def cells(q: int, p: int, down: int = 0, across: int = 0) -> Grid:
            """Those that the windows have in row q and column p of their seven, and some beyond."""
            grid = maps[CELLS[q], CELLS[p]]
            y, x = 2 * q, 2 * p
            return grid[y : y + size[0] + down, x : x + size[1] + across]

        x = jax.nn.relu(layer_6(cells) + params["dense1"]["bias"][None, None])
        return dot(x, params["dense2"]["kernel"]) + params["dense2"]["bias"][None, None]

    return logits


def _layer_6_tap_by_tap(kernel: Float[Array, "k o"], dot: Dot) -> Layer6:
    """The dense layer before its bias, as one product of every window's features."""

    def layer_6(cells: Cells) -> Float[Array, "m n o"]:
        features = [cells(q, p) for q in range(7) for p in range(7)]
        return dot(lax.optimization_barrier(jnp.concatenate(features, axis=-1)), kernel)

    return layer_6


def _layer_6(kernel: Float[Array, "k o"], dot: Dot) -> Layer6:
    """The same, by fewer products: the inner columns of all rows, and the inner rows of the others.

    What is left, four rows by four columns, is tap by tap.
    """
    kernel = kernel.reshape(7, 7, -1, kernel.shape[1])
    inner, outer = jnp.array(INNER), jnp.array(OUTER)
    of_ends = kernel[outer][:, outer].reshape(-1, kernel.shape[3])
    of_rows = _factors(kernel[:, inner].swapaxes(0, 1))
    of_columns = _factors(kernel[inner][:, outer])

    def layer_6(cells: Cells) -> Float[Array, "m n o"]:
        features = [cells(q, p) for q in OUTER for p in OUTER]
        gathered = lax.optimization_barrier(jnp.concatenate(features, axis=-1))
        rows = [cells(q, INNER[0], across=BEYOND) for q in range(7)]
        columns = [cells(INNER[0], p, down=BEYOND) for p in OUTER]
        at_ends = lax.optimization_barrier(dot(gathered, of_ends))
        return at_ends + _filtered(rows, of_rows, 1, dot) + _filtered(columns, of_columns, 0, dot)

    return layer_6


def _factors(kernel: Float[Array, "3 k c o"]) -> Float[Array, "6 k*c o"]:
    """G applied to the three taps of k grids of c channels."""
    factors = jnp.einsum(
        "ft,tkco->fkco", jnp.array(G, kernel.dtype), kernel, precision=lax.Precision.HIGHEST
    )
    return factors.reshape(len(G), -1, kernel.shape[3])


def _filtered(
    grids: list[Grid], factors: Float[Array, "6 kc o"], axis: int, dot: Dot
) -> Float[Array, "m n o"]:
    """Three taps, two cells apart along an axis, of k grids: Σ_k Σ_t grid_k[i + 2t] kernel_tk.

    Even and odd cells are apart; of either, four neighbouring sums share the products of six cells.
    """
    windows = grids[0].shape[axis] - BEYOND
    frames = -(-windows // FRAME)
    before, after = (grids[0].shape[0], 1) if axis == 1 else (1, grids[0].shape[1])

    def six_cells(grid: Grid) -> list[Array]:
        beyond = FRAME * (frames + 1) - windows - BEYOND
        padded = jnp.pad(grid, [(0, beyond if along == axis else 0) for along in range(3)])
        cells = padded.reshape(before, frames + 1, SUMS, 2, after, -1)
        return [cells[:, :-1, k] for k in range(SUMS)] + [
            cells[:, 1:, k] for k in range(len(B) - SUMS)
        ]

    cells = [six_cells(grid) for grid in grids]
    products = []
    for weights, factor in zip(B, factors, strict=True):
        mixed = jnp.concatenate([_mixed(weights, six) for six in cells], axis=-1)
        product = dot(lax.optimization_barrier(mixed), factor)
        products.append(lax.optimization_barrier(product))
    sums = jnp.stack([_mixed(weights, products) for weights in A], axis=2)
    sums = sums.reshape(*((-1, after) if axis == 0 else (before, -1)), factors.shape[2])
    return lax.slice_in_dim(sums, 0, windows, axis=axis)


def _mixed(weights: Sequence[int], arrays: list[Array]) -> Array:
    """Σ weight · array, without those of weight zero."""
    pairs = zip(weights, arrays, strict=True)
    return reduce(jnp.add, [weight * array for weight, array in pairs if weight])
