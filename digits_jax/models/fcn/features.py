"""Layers 1–5 of every 28×28 window of an image at stride 2, exactly, in one pass.

A window sees zeros beyond its edge, where a convolution over the whole image would see the
neighbouring pixels. Windows begin at even pixels, so a window's 2×2 pooling cells are cells of the
image, and all windows that hold a cell well inside agree on it; only the cells near a window's edge
depend on how near. Along each axis they fall into few classes, and each class is computed once for
the whole image:

- a cell of layer 3 is the window's first (T: the kernel's rows above it read zeros), its last (B),
  or interior (I): 3×3 maps;
- a row of layer 4 reads five cells, each from T, I, B or from nothing beyond them: 7×7 maps, of
  which no more is kept than
- their maxima over pooling cells (layer 5), one for each way that two rows meet: 5×5 maps.

Any window's 7×7×64 features are then cells of these maps, from which `dense` goes on.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.mixed_precision import Dot, compute_dtype_of, dot_with_precision

STRIDE = 2  # pixels between neighbouring windows (section 2.4)
HALO = INPUT_SIDE // STRIDE - 1  # cells of a window beyond its first

# Where the five taps of a window's layer-4 row find their cells, for rows 0, 1, 2, those between,
# 11, 12 and 13: in its first cell (T), an interior one (I), its last (B), or in none (-).
ROWS = ("--TII", "-TIII", "TIIII", "IIIII", "IIIIB", "IIIB-", "IIB--")
# The two rows, of those above, that meet in a layer-5 cell: cells 0, 1, those between, 5 and 6.
PAIRS = ((0, 1), (2, 3), (3, 3), (3, 4), (5, 6))
# The class, of those above, of each of the window's seven layer-5 cells.
CELLS = (0, 1, 2, 2, 2, 3, 4)
# The kernel rows that ever read a cell of that class.
READERS = {"T": range(3), "I": range(5), "B": range(2, 5)}

Grid = Float[Array, "h w c"]
Maps = dict[tuple[int, int], Grid]


def window_features(params: Params, tile: Float[Array, "H W"], *, precision: lax.Precision) -> Maps:
    """Layers 1–5 of all windows of one small image at once.

    Args:
      params: as `init` or `load_checkpoint` return them.
      tile: `[H, W]` float32, even sides of at least 28 px.
      precision: of the products; what it rounds their factors to is said by `compute_dtype_of`.

    Returns:
      The 25 classes of layer-5 cells, by row and column, each `[H / 2 − 1, W / 2 − 1, 64]` float32,
      or bfloat16, being factors of the products that follow.
      h by w windows read h + 12 by w + 12 of these cells.
    """
    dot, factors = dot_with_precision(precision), compute_dtype_of(precision)

    def rounded(cells: dict[Any, Grid]) -> dict[Any, Grid]:
        return {name: grid.astype(factors) for name, grid in cells.items()}

    layer_3 = rounded(_layer_3(tile.astype(factors), params["conv1"], dot))
    return rounded(_layer_5(layer_3, params["conv2"], dot))


def _layer_3(tile: Float[Array, "H W"], conv1: dict[str, Array], dot: Dot) -> dict[str, Grid]:
    """Layers 1–3: each cell as a window's T, I or B along y, then along x.

    The four convolutions that a cell pools read 6×6 pixels between them. T and B cells read zeros
    for two rows of these, so their kernels lose those rows, and all are one product.
    """
    h, w = (side // STRIDE for side in tile.shape)
    padded = jnp.pad(tile, 2)
    reach = [padded[y : y + 2 * h : 2, x : x + 2 * w : 2] for y in range(6) for x in range(6)]
    patches = lax.optimization_barrier(jnp.stack(reach, axis=-1))
    phases = [((y, 1 - y), (x, 1 - x), (0, 0)) for y in (0, 1) for x in (0, 1)]
    kernels = jnp.stack([jnp.pad(conv1["kernel"][:, :, 0], phase) for phase in phases])
    read = {"T": (0, 0, 1, 1, 1, 1), "I": (1, 1, 1, 1, 1, 1), "B": (1, 1, 1, 1, 0, 0)}
    classes = [v + u for v in "TIB" for u in "TIB"]
    masks = jnp.array([np.outer(read[c[0]], read[c[1]]) for c in classes], jnp.float32)
    exact = lax.Precision.HIGHEST  # only copies: not to be rounded where `dot`'s factors are not
    matrix = jnp.einsum("pyxo,cyx->yxpco", kernels, masks, precision=exact).reshape(36, -1)
    pixels = dot(patches, matrix).reshape(h, w, 4, len(classes), -1)
    pooled = jax.nn.relu(pixels.max(axis=2) + conv1["bias"][None, None, None])
    return {name: pooled[:, :, c] for c, name in enumerate(classes)}


def _layer_5(
    cells: dict[str, Grid], conv2: dict[str, Array], dot: Dot
) -> dict[tuple[int, int], Float[Array, "h-1 w-1 o"]]:
    """Layers 4 and 5: the 5×5 classes of pooled cells, each at the first of its two rows.

    As in `convolution`, the horizontal taps are gathered before a product and the vertical ones
    summed after it; the sums of all seven row classes share the products.
    """
    kernel, bias = conv2["kernel"], conv2["bias"]
    channels = kernel.shape[-1]
    h, w, _ = cells["II"].shape
    # Zeros where there is no cell: no window reads what comes of them.
    framed = {name: jnp.pad(cell, ((2, 2), (2, 2), (0, 0))) for name, cell in cells.items()}
    framed = lax.optimization_barrier(framed)
    products = {}
    for v, readers in READERS.items():
        for x, taps in enumerate(ROWS):
            inside = [k for k in range(5) if taps[k] != "-"]
            columns = [framed[v + taps[k]][:, k : k + w] for k in inside]
            matrix = kernel[jnp.array(readers)][:, jnp.array(inside)]
            matrix = matrix.transpose(1, 2, 0, 3).reshape(len(columns) * kernel.shape[2], -1)
            gathered = lax.optimization_barrier(jnp.concatenate(columns, axis=-1))
            products[v, x] = lax.optimization_barrier(dot(gathered, matrix))

    def layer_4(y: int, x: int) -> Grid:
        total = []
        for k, v in enumerate(ROWS[y]):
            if v != "-":
                start = channels * (k - READERS[v].start)
                total.append(products[v, x][k : k + h, :, start : start + channels])
        return reduce(jnp.add, total)

    rows = {(y, x): layer_4(y, x) for y in range(7) for x in range(7)}

    def pooled(y: int, x: int) -> Grid:
        meeting = [
            rows[PAIRS[y][i], PAIRS[x][j]][i : i + h - 1, j : j + w - 1]
            for i in (0, 1)
            for j in (0, 1)
        ]
        return reduce(jnp.maximum, meeting) + bias[None, None]

    return {(y, x): pooled(y, x) for y in range(5) for x in range(5)}
