"""Layers 1–5 of every 28×28 window of an image at stride 2, exactly, in one pass.

A window sees zeros beyond its edge, where a convolution over the whole image would see the
neighbouring pixels. (Section 2.4 of the paper leaves this open.) Windows begin at even pixels, so
that a window's 2×2 pooling cells are cells of the image. A cell well inside several windows has the
same value in all of them. Only the cells near a window's edge depend on their distance to it. Along
each axis the cells fall into few classes, and each class is computed once for the whole image:

- a cell of layer 3 is the window's first (T: the kernel's rows above it read zeros), its last (B),
  or interior (I): 3×3 maps;
- a row of layer 4 reads five cells, each of class T, I or B or beyond the window: 7×7 maps. They
  are not stored;
- a cell of layer 5 is a maximum over two such rows. Five pairs of rows occur: 5×5 maps.

The 7×7×64 features of any window are cells of these maps, from which `dense_head` continues.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.mixed_precision import Dot, compute_dtype_for, dot_with_precision

STRIDE = 2  # pixels between neighbouring windows (section 2.4)
HALO = INPUT_SIDE // STRIDE - 1  # cells of a window beyond its first

# The classes of the five cells that a layer-4 row reads: first (T), interior (I), last (B) or
# beyond the window (-). The entries are for rows 0, 1, 2, all rows between, 11, 12 and 13.
ROW_CLASSES = ("--TII", "-TIII", "TIIII", "IIIII", "IIIIB", "IIIB-", "IIB--")
# The two entries of ROW_CLASSES that a layer-5 cell pools. These are for cells 0, 1, all cells
# between, 5 and 6.
POOLED_ROWS = ((0, 1), (2, 3), (3, 3), (3, 4), (5, 6))
# The index into POOLED_ROWS of each of the window's seven layer-5 cells.
CELL_CLASSES = (0, 1, 2, 2, 2, 3, 4)
# The kernel rows that ever read a cell of a class.
KERNEL_ROWS = {"T": range(3), "I": range(5), "B": range(2, 5)}

Grid = Float[Array, "h w c"]
Maps = dict[tuple[int, int], Grid]


def window_features(params: Params, tile: Float[Array, "H W"], *, precision: lax.Precision) -> Maps:
    """Computes layers 1–5 of all windows of a tile at once.

    Args:
      params: as `init` or `load_checkpoint` return them.
      tile: `[H, W]` float32, even sides of at least 28 px.
      precision: of the dots, which round their factors to `compute_dtype_for(precision)`.

    Returns:
      The 25 classes of layer-5 cells, by row and column, each `[H / 2 − 1, W / 2 − 1, 64]` in the
      compute dtype. h by w windows read h + 12 by w + 12 of these cells.
    """
    dot, compute_dtype = dot_with_precision(precision), compute_dtype_for(precision)

    def rounded(cells: dict[Any, Grid]) -> dict[Any, Grid]:
        return {name: grid.astype(compute_dtype) for name, grid in cells.items()}

    layer_3 = rounded(_layer_3(tile.astype(compute_dtype), params["conv1"], dot))
    return rounded(_layer_5(layer_3, params["conv2"], dot))


def _layer_3(tile: Float[Array, "H W"], conv1: dict[str, Array], dot: Dot) -> dict[str, Grid]:
    """Computes layers 1–3: each cell as a window's T, I or B along y, then along x.

    The four pixels that a cell pools read 6×6 pixels between them. T and B cells read zeros in two
    of these rows, so that their kernels lose those rows. One dot computes all nine classes.
    """
    h, w = (side // STRIDE for side in tile.shape)
    padded = jnp.pad(tile, 2)
    taps = [padded[y : y + 2 * h : 2, x : x + 2 * w : 2] for y in range(6) for x in range(6)]
    patches = lax.optimization_barrier(jnp.stack(taps, axis=-1))
    paddings = [((y, 1 - y), (x, 1 - x), (0, 0)) for y in (0, 1) for x in (0, 1)]
    kernels = jnp.stack([jnp.pad(conv1["kernel"][:, :, 0], padding) for padding in paddings])
    read = {"T": (0, 0, 1, 1, 1, 1), "I": (1, 1, 1, 1, 1, 1), "B": (1, 1, 1, 1, 0, 0)}
    classes = [v + u for v in "TIB" for u in "TIB"]
    masks = jnp.array([np.outer(read[c[0]], read[c[1]]) for c in classes], jnp.float32)
    exact = lax.Precision.HIGHEST  # the einsum only copies; `dot` rounds where it has to
    matrix = jnp.einsum("pyxo,cyx->yxpco", kernels, masks, precision=exact).reshape(36, -1)
    pixels = dot(patches, matrix).reshape(h, w, 4, len(classes), -1)
    pooled = jax.nn.relu(pixels.max(axis=2) + conv1["bias"][None, None, None])
    return {name: pooled[:, :, c] for c, name in enumerate(classes)}


def _layer_5(
    cells: dict[str, Grid], conv2: dict[str, Array], dot: Dot
) -> dict[tuple[int, int], Float[Array, "h-1 w-1 o"]]:
    """Computes layers 4 and 5: the 5×5 classes of pooled cells, each at the first of its two rows.

    As in `pooled_conv`, the horizontal taps are gathered before a dot and the vertical taps summed
    after it. The sums of all seven row classes share the products.
    """
    kernel, bias = conv2["kernel"], conv2["bias"]
    channels = kernel.shape[-1]
    h, w, _ = cells["II"].shape
    # Zeros where there is no cell: no window reads their results.
    padded = {name: jnp.pad(cell, ((2, 2), (2, 2), (0, 0))) for name, cell in cells.items()}
    padded = lax.optimization_barrier(padded)
    products = {}
    for v, kernel_rows in KERNEL_ROWS.items():
        for x, classes in enumerate(ROW_CLASSES):
            inside = [k for k in range(5) if classes[k] != "-"]
            columns = [padded[v + classes[k]][:, k : k + w] for k in inside]
            matrix = kernel[jnp.array(kernel_rows)][:, jnp.array(inside)]
            matrix = matrix.transpose(1, 2, 0, 3).reshape(len(columns) * kernel.shape[2], -1)
            gathered = lax.optimization_barrier(jnp.concatenate(columns, axis=-1))
            products[v, x] = lax.optimization_barrier(dot(gathered, matrix))

    def layer_4(y: int, x: int) -> Grid:
        taps = []
        for k, v in enumerate(ROW_CLASSES[y]):
            if v != "-":
                start = channels * (k - KERNEL_ROWS[v].start)
                taps.append(products[v, x][k : k + h, :, start : start + channels])
        return reduce(jnp.add, taps)

    rows = {(y, x): layer_4(y, x) for y in range(7) for x in range(7)}

    def pooled(y: int, x: int) -> Grid:
        pixels = [
            rows[POOLED_ROWS[y][i], POOLED_ROWS[x][j]][i : i + h - 1, j : j + w - 1]
            for i in (0, 1)
            for j in (0, 1)
        ]
        return reduce(jnp.maximum, pixels) + bias[None, None]

    return {(y, x): pooled(y, x) for y in range(5) for x in range(5)}
