"""The classifier's answer for every 28×28 window of an image at stride 2, exactly, in one pass.

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

Any window's 7×7×64 features are then cells of these maps, and the dense layer is a convolution of
them with the trained weights (section 2.4 of the paper, which leaves the edges open). Of its seven
taps along an axis the inner three read one map, so that neighbouring windows share products there
(Winograd, 1980; Lavin and Gray, 2016). It costs 6 MFLOP a window; cutting the windows out and
classifying each costs 28.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from digits_jax.network import CLASSES, SIDE, Params

STRIDE = 2  # pixels between neighbouring windows (section 2.4)
HALO = SIDE // STRIDE - 1  # cells of a window beyond its first

# Where the five taps of a window's layer-4 row find their cells, for rows 0, 1, 2, those between,
# 11, 12 and 13: in its first cell (T), an interior one (I), its last (B), or in none (-).
ROWS = ("--TII", "-TIII", "TIIII", "IIIII", "IIIIB", "IIIB-", "IIB--")
# The two rows, of those above, that meet in a layer-5 cell: cells 0, 1, those between, 5 and 6.
PAIRS = ((0, 1), (2, 3), (3, 3), (3, 4), (5, 6))
# The class, of those above, of each of the window's seven layer-5 cells.
CELLS = (0, 1, 2, 2, 2, 3, 4)
# The kernel rows that ever read a cell of that class.
READERS = {"T": range(3), "I": range(5), "B": range(2, 5)}
# The taps of the dense layer along an axis whose cells are all of one class, and those around them.
INNER, OUTER = (2, 3, 4), (0, 1, 5, 6)

# Four neighbouring sums of three taps k of cells d: A (G k ∘ B d), six products instead of twelve.
A = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
B = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
     (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
G = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
     (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
SUMS = 4
FRAME = 2 * SUMS  # windows along an axis that share products: even ones, and odd ones

Grid = Float[Array, "h w c"]
Maps = dict[tuple[int, int], Grid]
Dot = Callable[[Array, Array], Array]


def tile_logits(
    params: Params, tile: Float[Array, "H W"], *, precision: lax.Precision
) -> Float[Array, "h w 10"]:
    """The logits of all windows of one small image at once.

    Args:
      params: as `init` or `load_checkpoint` return them.
      tile: `[H, W]` float32, even sides of at least 28 px.
      precision: of the products on GPU and TPU.

    Returns:
      `[(H − 28) / 2 + 1, (W − 28) / 2 + 1, 10]` float32.
    """
    dot = partial(jnp.dot, precision=precision)
    maps = _layer_5(_layer_3(tile, params["conv1"], dot), params["conv2"], dot)
    h, w = (side // STRIDE - HALO for side in tile.shape)
    # Rounded factors are for products of their own: sums of cells, rounded, lose too much.
    layer_6 = _layer_6 if precision is lax.Precision.HIGHEST else _layer_6_tap_by_tap
    x = layer_6(maps, params["dense1"]["kernel"], dot)
    x = jax.nn.relu(x + params["dense1"]["bias"][None])
    x = dot(x, params["dense2"]["kernel"]) + params["dense2"]["bias"][None]
    return x.reshape(h, w, CLASSES)


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


def _layer_6_tap_by_tap(maps: Maps, kernel: Float[Array, "k o"], dot: Dot) -> Float[Array, "n o"]:
    """The dense layer before its bias, as one product of every window's features."""
    features = [_tap(maps, q, p) for q in range(7) for p in range(7)]
    gathered = lax.optimization_barrier(jnp.concatenate(features, axis=-1))
    return dot(gathered.reshape(-1, kernel.shape[0]), kernel)


def _layer_6(maps: Maps, kernel: Float[Array, "k o"], dot: Dot) -> Float[Array, "n o"]:
    """The same, by fewer products: the inner columns of all rows, and the inner rows of the others.

    What is left, four rows by four columns, is tap by tap.
    """
    kernel = kernel.reshape(7, 7, -1, kernel.shape[1])
    inner, outer = jnp.array(INNER), jnp.array(OUTER)
    ends = [_tap(maps, q, p) for q in OUTER for p in OUTER]
    gathered = lax.optimization_barrier(jnp.concatenate(ends, axis=-1))
    h, w = gathered.shape[:2]
    at_ends = dot(gathered, kernel[outer][:, outer].reshape(gathered.shape[-1], -1))

    # From every window's first inner tap to the last window's last.
    inside = slice(2 * INNER[0], -2 * (6 - INNER[-1]))
    rows = [maps[CELLS[q], 2][2 * q : 2 * q + h, inside] for q in range(7)]
    columns = [maps[2, CELLS[p]][inside, 2 * p : 2 * p + w] for p in OUTER]
    across = _filtered(rows, kernel[:, inner].swapaxes(0, 1), 1, dot)
    down = _filtered(columns, kernel[inner][:, outer], 0, dot)
    return (lax.optimization_barrier(at_ends) + across + down).reshape(h * w, -1)


def _tap(maps: Maps, q: int, p: int) -> Float[Array, "m n c"]:
    """The cells that every window has in row q and column p of its seven."""
    grid = maps[CELLS[q], CELLS[p]]
    h, w = (side - 12 for side in grid.shape[:2])
    return grid[2 * q : 2 * q + h, 2 * p : 2 * p + w]


def _filtered(
    grids: list[Grid], kernel: Float[Array, "3 k c o"], axis: int, dot: Dot
) -> Float[Array, "m n o"]:
    """Three taps, two cells apart along an axis, of k grids: Σ_k Σ_t grid_k[i + 2t] kernel_tk.

    Even and odd cells are apart; of either, four neighbouring sums share the products of six cells.
    """
    windows = grids[0].shape[axis] - 4
    frames = -(-windows // FRAME)
    before, after = (grids[0].shape[0], 1) if axis == 1 else (1, grids[0].shape[1])

    def six_cells(grid: Grid) -> list[Array]:
        beyond = FRAME * (frames + 1) - windows - 4
        padded = jnp.pad(grid, [(0, beyond if along == axis else 0) for along in range(3)])
        cells = padded.reshape(before, frames + 1, SUMS, 2, after, -1)
        return [cells[:, :-1, k] for k in range(SUMS)] + [cells[:, 1:, k] for k in range(2)]

    exact = lax.Precision.HIGHEST
    factors = jnp.einsum("ft,tkco->fkco", jnp.array(G), kernel, precision=exact)
    cells = [six_cells(grid) for grid in grids]
    products = []
    for weights, factor in zip(B, factors, strict=True):
        mixed = jnp.concatenate([_mixed(weights, six) for six in cells], axis=-1)
        product = dot(lax.optimization_barrier(mixed), factor.reshape(mixed.shape[-1], -1))
        products.append(lax.optimization_barrier(product))
    sums = jnp.stack([_mixed(weights, products) for weights in A], axis=2)
    sums = sums.reshape(*((-1, after) if axis == 0 else (before, -1)), kernel.shape[3])
    return lax.slice_in_dim(sums, 0, windows, axis=axis)


def _mixed(weights: Sequence[int], arrays: list[Array]) -> Array:
    """Σ weight · array, without those of weight zero."""
    pairs = zip(weights, arrays, strict=True)
    return reduce(jnp.add, [weight * array for weight, array in pairs if weight])
