"""Computes the logits of every window of images at any scales, one tile after the other.

Images are cut into square tiles of one size. The memory is that of one tile, whatever the image.
A further scale only adds tiles to the list.
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
from digits_jax.models.fcn import winograd
from digits_jax.models.fcn.dense_head import dense_head
from digits_jax.models.fcn.features import HALO, STRIDE, window_features
from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level
from digits_jax.models.fcn.sparse_tiles import SUBTILE_WINDOWS, TileIndex, sparse_tile_outputs
from digits_jax.models.mixed_precision import compute_dtype_for
from digits_jax.runtime.devices import data_mesh
from digits_jax.runtime.errors import ArgumentError

# Most windows along a tile's side, by backend.
CPU_TILE_WINDOWS = 64  # so that a tile's arrays take some 160 MB
ACCELERATOR_TILE_WINDOWS = 160

Logits = Float[Array, "h w 10"]
ReduceFn = Callable[[Logits], PyTree[Shaped[Array, "..."]]]


def map_size(pixels: int) -> int:
    """Returns how many windows fit along a side of an image: (pixels − 28) // 2 + 1."""
    return (pixels - INPUT_SIDE) // STRIDE + 1


@partial(
    jax.jit,
    static_argnames=(
        "levels",
        "reduce_fn",
        "overlap",
        "precision",
        "tile_windows",
        "subtile_windows",
    ),
)
def pyramid_maps(
    params: Params,
    images: Float[Array, "n H W 1"],
    levels: tuple[PyramidLevel, ...],
    reduce_fn: ReduceFn = lambda logits: logits,
    overlap: int = 0,
    *,
    valid_extents: Sequence[Int[Array, "n 2"]] | None = None,
    precision: lax.Precision = lax.Precision.HIGHEST,
    tile_windows: int | None = None,
    subtile_windows: int = SUBTILE_WINDOWS,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    """Computes the logits of every window of images at several scales, or reductions of them.

    All levels are cut into tiles of one size, so that one program serves any number of scales.

    Args:
      params: as for `response_maps`.
      images: as for `response_maps`; at scales other than 1 with `pyramid_padding` black pixels on
        each side.
      levels: the scales, and how much of the images each level holds: at least 28 px a side.
      reduce_fn: maps the logits `[h + overlap, w + overlap, 10]` of a tile's windows to arrays
        `[h, w, …]`, so that no whole map of logits is ever in memory.
      overlap: windows that neighbouring tiles share, for a `reduce_fn` that reads a window's
        neighbours. The result has `overlap` rows and columns fewer than there are windows.
      valid_extents: for each level `[n, 2]`, how many rows and columns of each image's result are
        needed; None for all. If given, the rest of the result is arbitrary, areas of one grey
        value cost one window, and the function has no gradient.
      precision: as for `response_maps`.
      tile_windows: most windows along a tile's side; None for the backend's default.
      subtile_windows: windows along the side of the subtiles that a CPU skips or computes.

    Returns:
      `reduce_fn`'s arrays for each level, `[n, h, w, …]`.

    Raises:
      ArgumentError: `check_image_batch` refuses the images.
    """
    check_image_batch(images)
    mesh = data_mesh(images.shape[0], jax.local_devices())
    maps = partial(
        _map_tiles,
        levels=levels,
        reduce_fn=reduce_fn,
        overlap=overlap,
        precision=precision,
        tile_windows=tile_windows,
        subtile_windows=subtile_windows,
    )
    if mesh.size > 1:
        specs = (P(), P("data"), P("data"))
        maps = jax.shard_map(maps, mesh=mesh, in_specs=specs, out_specs=P("data"), check_vma=False)
    return maps(params, images[..., 0], None if valid_extents is None else list(valid_extents))


def check_image_batch(images: Float[Array, "n H W 1"]) -> None:
    """Checks the rank, dtype and size of a batch of images, during tracing.

    Raises:
      ArgumentError: the images are not `[n, H, W, 1]` float32 with n ≥ 1, H ≥ 28 and W ≥ 28.
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
            f"expected images [n, H, W, 1] of float32 in 0–1, n ≥ 1, at least {INPUT_SIDE} px a "
            f"side; got {list(shape)} of {images.dtype}"
        )


def _map_tiles(
    params: Params,
    images: Float[Array, "n H W"],
    valid_extents: list[Int[Array, "n 2"]] | None,
    *,
    levels: tuple[PyramidLevel, ...],
    reduce_fn: ReduceFn,
    overlap: int,
    precision: lax.Precision,
    tile_windows: int | None,
    subtile_windows: int,
) -> list[PyTree[Shaped[Array, "n _ _ ..."]]]:
    windows = [tuple(map_size(pixels) for pixels in level[2:]) for level in levels]
    # No window reads the last pixel of an odd side. A window that is computed and then dropped must
    # not read it either, since it shares products with others.
    read = [
        level._replace(height=STRIDE * (h + HALO), width=STRIDE * (w + HALO))
        for level, (h, w) in zip(levels, windows, strict=True)
    ]
    sizes = [(h - overlap, w - overlap) for h, w in windows]
    side = _tile_side(sizes, overlap, tile_windows, dense=valid_extents is None)
    grids = [(-(-h // side), -(-w // side)) for h, w in sizes]
    tiles = [_tile_indices(len(images), level, grid, side) for level, grid in enumerate(grids)]
    dense = dense_head(params, precision=precision)

    def pixels(tile: TileIndex, side: int, level: int | None = None) -> Float[Array, "H W"]:
        image, tile_level = tile[:2]
        # A Python number for the level takes less time than a traced one.
        level_index = tile_level if level is None else level
        return crop_level(
            images[image], read, level_index, tile[2:], STRIDE * (side + overlap + HALO)
        )

    def compute(tile: TileIndex, side: int) -> PyTree[Shaped[Array, "h w ..."]]:
        windows = side + overlap
        maps = window_features(params, pixels(tile, side), precision=precision)
        return reduce_fn(dense(maps, (windows, windows)))

    def compute_grey(grey: Float[Array, ""], side: int) -> PyTree[Shaped[Array, "h w ..."]]:
        windows = side + overlap
        with jax.default_matmul_precision(precision.name.lower()):
            window = jnp.broadcast_to(grey, (1, INPUT_SIDE, INPUT_SIDE, 1))
            logits = classify(params, window, compute_dtype=compute_dtype_for(precision))
        return reduce_fn(jnp.broadcast_to(logits[0], (windows, windows, NUM_CLASSES)))

    if valid_extents is None:
        # Rematerialised, so that a gradient holds one tile's arrays at a time.
        outputs = lax.map(jax.checkpoint(partial(compute, side=side)), jnp.concatenate(tiles))
    else:
        remaining = [
            (extents[:, None] - side * np.indices(grid).reshape(2, -1).T[None]).reshape(-1, 2)
            for extents, grid in zip(valid_extents, grids, strict=True)
        ]
        outputs = sparse_tile_outputs(
            tiles,
            jnp.concatenate(remaining),
            side,
            overlap,
            pixels,
            compute,
            compute_grey,
            subtile_windows=subtile_windows,
        )
    ends = np.cumsum([len(level_tiles) for level_tiles in tiles])
    maps = []
    for end, level_tiles, grid, (h, w) in zip(ends, tiles, grids, sizes, strict=True):
        start = end - len(level_tiles)
        level_outputs = jax.tree.map(lambda array: array[start:end], outputs)  # noqa: B023
        maps.append(jax.tree.map(lambda array: _join(array, grid)[:, :h, :w], level_outputs))  # noqa: B023
    return maps


def _tile_side(
    sizes: Sequence[tuple[int, ...]], overlap: int, tile_windows: int | None, *, dense: bool
) -> int:
    """Returns how many windows a tile has along its side, without those that tiles share.

    Where all windows are needed (`dense`), it minimises the work on halos and dropped windows.
    """
    on_cpu = jax.default_backend() == "cpu"
    if tile_windows is None:
        tile_windows = CPU_TILE_WINDOWS if on_cpu else ACCELERATOR_TILE_WINDOWS
    largest = min(tile_windows - overlap, max(max(size) for size in sizes))
    if on_cpu and not dense:  # subtiles skip what is dropped
        return largest

    def work(side: int) -> int:
        tiles = sum(-(-h // side) * -(-w // side) for h, w in sizes)
        multiplied = -(-(side + overlap) // winograd.BLOCK) * winograd.BLOCK
        return tiles * (2 * multiplied**2 + (side + overlap + HALO) ** 2)

    return min(range(-(-largest // 2), largest + 1), key=work)


def _tile_indices(n: int, level: int, grid: tuple[int, int], side: int) -> Int[np.ndarray, "m 4"]:
    """Returns the tiles of n images at one level: image, level, first pixel's row and column."""
    image, row, column = np.indices((n, *grid), np.int32).reshape(3, -1)
    return np.stack(
        [image, np.full_like(image, level), STRIDE * side * row, STRIDE * side * column], axis=-1
    )


def _join(tiles: Shaped[Array, "m t t ..."], grid: tuple[int, int]) -> Shaped[Array, "n _ _ ..."]:
    side, rest = tiles.shape[1], tiles.shape[3:]
    rows = tiles.reshape(-1, *grid, side, side, *rest).swapaxes(2, 3)
    return rows.reshape(-1, grid[0] * side, grid[1] * side, *rest)
