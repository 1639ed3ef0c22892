"""The logits of every window of images at any scales, tile by tile.

Images are cut into square tiles of one size, which are worked off in turn: the memory is that of a
tile, whatever the image, and a further scale is one more list of tiles.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PyTree, Shaped

from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params, classify
from digits_jax.models.fcn.dense_head import FRAME, dense_head
from digits_jax.models.fcn.features import HALO, STRIDE, window_features
from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level
from digits_jax.models.fcn.sparse_tiles import TileIndex, sparse_tile_outputs
from digits_jax.models.mixed_precision import compute_dtype_of
from digits_jax.runtime.devices import data_mesh
from digits_jax.runtime.errors import ArgumentError

TILE = 160  # windows a side
TILE_ON_CPU = 64  # so that a tile's arrays take some 160 MB

Logits = Float[Array, "h w 10"]
Finish = Callable[[Logits], PyTree[Shaped[Array, "..."]]]


def map_size(pixels: int) -> int:
    """Windows along a side of so many pixels: (pixels − 28) // 2 + 1."""
    return (pixels - INPUT_SIDE) // STRIDE + 1


@partial(jax.jit, static_argnames=("levels", "precision", "finish", "overlap"))
def pyramid_maps(
    params: Params,
    images: Float[Array, "n H W 1"],
    levels: tuple[PyramidLevel, ...],
    finish: Finish = lambda logits: logits,
    overlap: int = 0,
    *,
    needed: Sequence[Int[Array, "n 2"]] | None = None,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    """The logits of every window of images at several scales, or what `finish` makes of them.

    All are cut into tiles of one size, so that one program serves whatever scales there are.

    Args:
      params: as for `response_maps`.
      images: as for `response_maps`; at scales other than 1 with `pyramid.rim` around them.
      levels: the scales, and how much there is of the images at each: at least 28 px a side.
      finish: takes the logits `[h + overlap, w + overlap, 10]` of a tile's windows to arrays
        `[h, w, …]`, so that no map of logits need ever be whole.
      overlap: windows that neighbouring tiles share, for a `finish` that looks around; the result
        has so many rows and columns fewer than there are windows.
      needed: of each level, how many rows and columns of each image's result are needed, or all.
        If given, the others may hold anything, what is of one grey is answered by one window, and
        there is no gradient.
      precision: as for `response_maps`.

    Returns:
      `finish`'s arrays for each level, `[n, h, w, …]`.
    """
    check_image_batch(images)
    mesh = data_mesh(images.shape[0])
    maps = partial(_map_tiles, levels=levels, finish=finish, overlap=overlap, precision=precision)
    if mesh.size > 1:
        specs = (P(), P("data"), P("data"))
        maps = jax.shard_map(maps, mesh=mesh, in_specs=specs, out_specs=P("data"), check_vma=False)
    return maps(params, images[..., 0], None if needed is None else list(needed))


def check_image_batch(images: Float[Array, "n H W 1"]) -> None:
    """Refuses what is no batch of images, when traced.

    Raises:
      ValueError: the rank, the dtype or a size is not as for `response_maps`.
    """
    shape = images.shape
    if (
        len(shape) != 4
        or shape[3] != 1
        or min(shape[1:3]) < INPUT_SIDE
        or images.dtype != jnp.float32
        or shape[0] < 1
    ):
        raise ArgumentError(
            f"the maps take images [n, H, W, 1] of float32 in 0–1, n ≥ 1, at least {INPUT_SIDE} px a "
            f"side; got {list(shape)} of {images.dtype}"
        )


def _map_tiles(
    params: Params,
    images: Float[Array, "n H W"],
    needed: list[Int[Array, "n 2"]] | None,
    *,
    levels: tuple[PyramidLevel, ...],
    finish: Finish,
    overlap: int,
    precision: lax.Precision,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    windows = [tuple(map_size(pixels) for pixels in level[2:]) for level in levels]
    # No window reads the last pixel of an odd side: none that is dropped is to, either, since it
    # shares products with others.
    read = [
        level._replace(height=STRIDE * (h + HALO), width=STRIDE * (w + HALO))
        for level, (h, w) in zip(levels, windows, strict=True)
    ]
    sizes = [(h - overlap, w - overlap) for h, w in windows]
    side = _tile_side(sizes, overlap, whole=needed is None)
    grids = [(-(-h // side), -(-w // side)) for h, w in sizes]
    cuts = [_cuts(len(images), level, grid, side) for level, grid in enumerate(grids)]
    dense = dense_head(params, precision=precision)

    def pixels(cut: TileIndex, side: int, level: int | None = None) -> Float[Array, "H W"]:
        image, of_cut = cut[:2]
        of_level = of_cut if level is None else level  # a number that is known takes less time
        return crop_level(images[image], read, of_level, cut[2:], STRIDE * (side + overlap + HALO))

    def answer(cut: TileIndex, side: int) -> PyTree[Shaped[Array, "h w ..."]]:
        windows = side + overlap
        maps = window_features(params, pixels(cut, side), precision=precision)
        return finish(dense(maps, (windows, windows)))

    def answer_grey(grey: Float[Array, ""], side: int) -> PyTree[Shaped[Array, "h w ..."]]:
        windows = side + overlap
        with jax.default_matmul_precision(precision.name.lower()):
            window = jnp.broadcast_to(grey, (1, INPUT_SIDE, INPUT_SIDE, 1))
            logits = classify(params, window, factors=compute_dtype_of(precision))
        return finish(jnp.broadcast_to(logits[0], (windows, windows, NUM_CLASSES)))

    if needed is None:
        # Rematerialised, so that a gradient holds one tile's arrays at a time.
        answers = lax.map(jax.checkpoint(partial(answer, side=side)), jnp.concatenate(cuts))
    else:
        left = [
            (of_level[:, None] - side * np.indices(grid).reshape(2, -1).T[None]).reshape(-1, 2)
            for of_level, grid in zip(needed, grids, strict=True)
        ]
        answers = sparse_tile_outputs(
            cuts, jnp.concatenate(left), side, overlap, pixels, answer, answer_grey
        )
    ends = np.cumsum([len(cuts_of_level) for cuts_of_level in cuts])
    maps = []
    for end, cuts_of_level, grid, (h, w) in zip(ends, cuts, grids, sizes, strict=True):
        part = jax.tree.map(lambda array: array[end - len(cuts_of_level) : end], answers)  # noqa: B023
        maps.append(jax.tree.map(lambda array: _join(array, grid)[:, :h, :w], part))  # noqa: B023
    return maps


def _tile_side(sizes: Sequence[tuple[int, ...]], overlap: int, *, whole: bool) -> int:
    """Windows along a tile's side: few of the tiles' cells are to be halo or left over."""
    on_cpu = jax.default_backend() == "cpu"
    largest = TILE_ON_CPU if on_cpu else TILE
    largest = min(largest - overlap, max(max(size) for size in sizes))
    if on_cpu and not whole:  # what is left over is done by parts
        return largest

    def work(side: int) -> int:
        tiles = sum(-(-h // side) * -(-w // side) for h, w in sizes)
        multiplied = -(-(side + overlap) // FRAME) * FRAME
        return tiles * (2 * multiplied**2 + (side + overlap + HALO) ** 2)

    return min(range(-(-largest // 2), largest + 1), key=work)


def _cuts(n: int, level: int, grid: tuple[int, int], side: int) -> Int[np.ndarray, "m 4"]:
    """The tiles of n images at one level: image, level, and the first pixel's row and column."""
    image, row, column = np.indices((n, *grid), np.int32).reshape(3, -1)
    return np.stack(
        [image, np.full_like(image, level), STRIDE * side * row, STRIDE * side * column], axis=-1
    )


def _join(tiles: Shaped[Array, "m t t ..."], grid: tuple[int, int]) -> Shaped[Array, "n _ _ ..."]:
    side, rest = tiles.shape[1], tiles.shape[3:]
    rows = tiles.reshape(-1, *grid, side, side, *rest).swapaxes(2, 3)
    return rows.reshape(-1, grid[0] * side, grid[1] * side, *rest)
