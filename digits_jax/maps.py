"""Response maps of whole images: the classifier's answer for every 28×28 window at stride 2.

Images of any size are cut into square tiles of one size, which one program works off in turn: the
memory is that of a tile, whatever the image, and a pyramid of scales is one more list of tiles.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PyTree, Shaped

from digits_jax.mesh import data_mesh
from digits_jax.network import CLASSES, SIDE, Params, classify
from digits_jax.tile import FRAME, HALO, STRIDE, tile_logits

TILE_ON_CPU = 48  # windows a side, so that a tile's arrays take some 200 MB
SKIPPED_ON_CPU = 30  # where blank ones are skipped: small ones fit closer around what is not blank
TILE = 160

Finish = Callable[[Float[Array, "h w 10"]], PyTree[Shaped[Array, "..."]]]


class ResponseMaps(NamedTuple):
    """What the network says of each window; cell (i, j) is the window at pixel (2i, 2j)."""

    logits: Float[Array, "n h w 10"]
    probabilities: Float[Array, "n h w 10"]
    margin: Float[Array, "n h w"]  # the largest probability less the second, 0–1 (section 2.4)
    entropy: Float[Array, "n h w"]  # −Σ p ln p, 0 – ln 10, in nats
    label: Int[Array, "n h w"]  # the class of the largest


def window_of_cell(row: int, column: int) -> tuple[int, int, int, int]:
    """The pixels `(x0, y0, x1, y1)` of a map's cell, x1 and y1 exclusive."""
    y, x = STRIDE * row, STRIDE * column
    return x, y, x + SIDE, y + SIDE


def map_size(pixels: int) -> int:
    """Windows along a side of so many pixels: (pixels − 28) // 2 + 1."""
    return (pixels - SIDE) // STRIDE + 1


def response_maps(
    params: Params,
    images: Float[Array, "n H W 1"],
    *,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> ResponseMaps:
    """The classifier on every window at stride 2, in one pass over the whole images.

    The logits are `classify`'s of each window cut out, to 1e-4 · max(1, the largest |logit|) in
    float32. Nothing is padded: h = (H − 28) // 2 + 1. Works inside `jit`, `grad` and `vmap`; the
    memory beyond the maps themselves is bounded. The batch is spread over the devices there are.

    Args:
      params: as `init` or `load_checkpoint` return them.
      images: `[n, H, W, 1]` float32 in 0–1, ink bright, at least 28 px a side.
      precision: of the products on GPU and TPU; less than the default is faster and less exact.

    Returns:
      The maps, each `[n, h, w]` or `[n, h, w, 10]`, float32; `label` int32.

    Raises:
      ValueError: when traced with images of another rank or dtype, or smaller than a window.
    """
    return describe(map_levels(params, [images], precision=precision)[0])


def patch_maps(params: Params, images: Float[Array, "n H W 1"]) -> ResponseMaps:
    """The same maps by cutting every window out and classifying it: slow, and right by definition.

    Args, returns and raises as for `response_maps`.
    """
    _check(images)
    h, w = map_size(images.shape[1]), map_size(images.shape[2])
    corners = jnp.stack(jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij"), -1) * STRIDE

    def logits_of_row(image: Float[Array, "H W 1"], row: Int[Array, "w 2"]) -> Float[Array, "w 10"]:
        size = (SIDE, SIDE, 1)
        cut = jax.vmap(lambda corner: lax.dynamic_slice(image, (corner[0], corner[1], 0), size))
        with jax.default_matmul_precision("highest"):
            return classify(params, cut(row))

    rows = lax.map(lambda image: lax.map(partial(logits_of_row, image), corners), images)
    return describe(rows)


def describe(logits: Float[Array, "n h w 10"]) -> ResponseMaps:
    """Probabilities, margin, entropy and label of logits."""
    log_p = jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    entropy = -jnp.sum(p * log_p, axis=-1)
    label = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return ResponseMaps(logits, p, margin_of(p), entropy, label)


def margin_of(probabilities: Float[Array, "*n 10"]) -> Float[Array, "*n"]:
    """The largest probability less the second largest."""
    top = lax.top_k(probabilities, 2)[0]
    return top[..., 0] - top[..., 1]


@partial(jax.jit, static_argnames=("precision", "finish", "overlap", "skip"))
def map_levels(
    params: Params,
    levels: Sequence[Float[Array, "n _ _ 1"]],
    finish: Finish = lambda logits: logits,
    overlap: int = 0,
    *,
    skip: bool = False,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    """The logits of every window of several batches of images, or what `finish` makes of them.

    All are cut into tiles of one size, so that one program serves whatever sizes there are.

    Args:
      params: as for `response_maps`.
      levels: batches of n images each, of sizes of their own; each as for `response_maps`.
      finish: takes the logits `[h + overlap, w + overlap, 10]` of a tile's windows to arrays
        `[h, w, …]`, so that no map of logits need ever be whole.
      overlap: windows that neighbouring tiles share, for a `finish` that looks around; the result
        has so many rows and columns fewer than there are windows.
      skip: whether a tile of one grey is answered by one window: much of a page is blank. Its
        gradient in the images is then not to be had.
      precision: as for `response_maps`.

    Returns:
      `finish`'s arrays for each level, `[n, h, w, …]`.
    """
    for images in levels:
        _check(images)
    mesh = data_mesh(levels[0].shape[0])
    maps = partial(_map_tiles, finish=finish, overlap=overlap, skip=skip, precision=precision)
    if mesh.size > 1:
        maps = jax.shard_map(
            maps, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"), check_vma=False
        )
    return maps(params, list(levels))


def _check(images: Float[Array, "n H W 1"]) -> None:
    shape = images.shape
    if (
        len(shape) != 4
        or shape[3] != 1
        or min(shape[1:3]) < SIDE
        or images.dtype != jnp.float32
        or shape[0] < 1
    ):
        raise ValueError(
            f"the maps take images [n, H, W, 1] of float32 in 0–1, n ≥ 1, at least {SIDE} px a "
            f"side; got {list(shape)} of {images.dtype}"
        )


def _map_tiles(
    params: Params,
    levels: list[Float[Array, "n _ _ 1"]],
    *,
    finish: Finish,
    overlap: int,
    skip: bool,
    precision: lax.Precision,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    sizes = [tuple(map_size(side) - overlap for side in images.shape[1:3]) for images in levels]
    side = _tile_side(sizes, overlap, SKIPPED_ON_CPU if skip else TILE_ON_CPU)
    grids = [(-(-h // side), -(-w // side)) for h, w in sizes]
    # Cut one at a time: all of them would take several times the memory of the images.
    pixels = jnp.concatenate([images.ravel() for images in levels])
    cuts = _cuts([images.shape[:3] for images in levels], grids, STRIDE * side)
    tile_pixels = STRIDE * (side + overlap + HALO)

    def windows(tile: Float[Array, "H W"]) -> Float[Array, "h w 10"]:
        return tile_logits(params, tile, precision=precision)

    def one_window(tile: Float[Array, "H W"]) -> Float[Array, "h w 10"]:
        with jax.default_matmul_precision(precision.name.lower()):
            logits = classify(params, tile[None, :SIDE, :SIDE, None])
        return jnp.broadcast_to(logits[0], (side + overlap, side + overlap, CLASSES))

    # Rematerialised, so that a gradient holds one tile's arrays at a time.
    @jax.checkpoint
    def answer(cut: Int[Array, "4"]) -> PyTree[Shaped[Array, "h w ..."]]:
        tile = _tile(pixels, cut, tile_pixels)
        if not skip:
            return finish(windows(tile))
        return finish(lax.cond(tile.min() == tile.max(), one_window, windows, tile))

    answers = lax.map(answer, jnp.concatenate(cuts))
    ends = np.cumsum([len(cuts_of_level) for cuts_of_level in cuts])
    maps = []
    for end, cuts_of_level, grid, (h, w) in zip(ends, cuts, grids, sizes, strict=True):
        part = jax.tree.map(lambda array: array[end - len(cuts_of_level) : end], answers)  # noqa: B023
        maps.append(jax.tree.map(lambda array: _join(array, grid)[:, :h, :w], part))  # noqa: B023
    return maps


def _tile_side(sizes: Sequence[tuple[int, ...]], overlap: int, on_cpu: int) -> int:
    """Windows along a tile's side, such that few of the tiles' cells are halo or left over."""
    largest = on_cpu if jax.default_backend() == "cpu" else TILE
    largest = min(largest, max(max(size) for size in sizes))

    def work(side: int) -> int:
        tiles = sum(-(-h // side) * -(-w // side) for h, w in sizes)
        whole_frames = -(-(side + overlap) // FRAME) * FRAME
        return tiles * (2 * whole_frames**2 + (side + overlap + HALO) ** 2)

    return min(range(-(-largest // 2), largest + 1), key=work)


def _cuts(
    shapes: Sequence[tuple[int, ...]], grids: Sequence[tuple[int, int]], step: int
) -> list[Int[np.ndarray, "m 4"]]:
    """Where the tiles of each level are, among the pixels of all: see `_tile`."""
    cuts, begin = [], 0
    for (n, height, width), (rows, columns) in zip(shapes, grids, strict=True):
        image, row, column = np.indices((n, rows, columns)).reshape(3, -1)
        first = begin + (image * height + row * step) * width + column * step
        below, beside = height - row * step, width - column * step
        cuts.append(np.stack([first, np.full_like(first, width), below, beside], -1))
        begin += n * height * width
    if begin > np.iinfo(np.int32).max:
        raise ValueError(f"the images are too large: {begin:,} pixels at all scales; cut them up")
    return [cut.astype(np.int32) for cut in cuts]


def _tile(pixels: Float[Array, " p"], cut: Int[Array, "4"], side: int) -> Float[Array, "t t"]:
    """The square whose first pixel, rows' distance, and rows and columns left are given.

    Zeros fill up what lies beyond the image, for windows that are then dropped.
    """
    first, width, below, beside = cut
    along = jnp.arange(side)
    inside = (along < below)[:, None] & (along < beside)[None]
    index = first + along[:, None] * width + along[None]
    return jnp.where(inside, pixels.at[jnp.where(inside, index, 0)].get(), 0.0)


def _join(tiles: Shaped[Array, "m t t ..."], grid: tuple[int, int]) -> Shaped[Array, "n _ _ ..."]:
    side, rest = tiles.shape[1], tiles.shape[3:]
    rows = tiles.reshape(-1, *grid, side, side, *rest).swapaxes(2, 3)
    return rows.reshape(-1, grid[0] * side, grid[1] * side, *rest)
