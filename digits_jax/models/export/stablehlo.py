"""Exports the response maps as one StableHLO program for images of any size.

`jax.export` traces the maps with symbolic sizes instead of numbers, and the program runs without
this package. The tiles of `tiling` are computed here by arithmetic that symbolic sizes allow: along
an axis with h windows every tile has ⌈h / ⌈h / 64⌉⌉ of them. The last tile begins where it still
fits, so that nothing is padded. Windows that two tiles share are written twice, with equal values.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import core, export, lax
from jaxtyping import Array, Float, Int

from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params
from digits_jax.models.fcn.dense_head import dense_head
from digits_jax.models.fcn.features import HALO, STRIDE, window_features
from digits_jax.models.fcn.response_maps import to_response_maps
from digits_jax.models.fcn.tiling import CPU_TILE_WINDOWS
from digits_jax.runtime.jax_config import temporary_jax_config

PLATFORMS = ("cpu", "cuda", "tpu")

TileLogits = Callable[[Float[Array, "H W"]], Float[Array, "h w 10"]]


def response_maps_to_stablehlo(params: Params) -> bytes:
    """Exports `response_maps` with these parameters, for `jax.export.deserialize`.

    The program takes images `[n, H, W, 1]` of float32 in 0–1, ink bright, n ≥ 1, H and W ≥ 28. It
    returns a dictionary with the fields of `ResponseMaps`. Its dots are float32 on every platform.
    It has no gradient. Beyond images and maps it takes a tile's memory, some 160 MB, on one device.

    JAX promises to run it in releases up to six months newer and three weeks older than the one
    that wrote it. Writing and reading it need the package flatbuffers.

    Args:
      params: as `init` or `load_checkpoint` return them.

    Returns:
      The serialized program, for CPU, CUDA and TPU, with the parameters in it.
    """

    def response_maps(images: Float[Array, "n H W 1"]) -> dict[str, Array]:
        return to_response_maps(_tiled_logits(tile_logits.call, images))._asdict()

    tile_shape = f"{STRIDE}*h + {STRIDE * HALO}, {STRIDE}*w + {STRIDE * HALO}"
    precision = lax.Precision.HIGHEST
    dense = dense_head(params, precision=precision)

    def logits_of_tile(tile: Float[Array, "H W"]) -> Float[Array, "h w 10"]:
        h, w = (side // STRIDE - HALO for side in tile.shape)
        return dense(window_features(params, tile, precision=precision), (h, w))

    # Without source locations, which would hold folder names of this machine.
    with temporary_jax_config(jax_traceback_in_locations_limit=0):
        # Exported by itself, or JAX would derive every shape in it from the whole image's size.
        tile_logits = _export(logits_of_tile, export.symbolic_shape(tile_shape))
        maps = _export(
            response_maps,
            # Symbols are at least 1. Explicit constraints would be lost by `serialize`.
            export.symbolic_shape(f"n, H + {INPUT_SIDE - 1}, W + {INPUT_SIDE - 1}, 1"),
        )
    return bytes(maps.serialize())


def _export(function: Callable[[Array], Any], shape: Sequence[Any]) -> export.Exported:
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    return export.export(jax.jit(function), platforms=PLATFORMS)(image)


def _tiled_logits(
    tile_logits: TileLogits, images: Float[Array, "n H W 1"]
) -> Float[Array, "n h w 10"]:
    """Computes the logits of every window; the sizes may be symbolic."""
    n = images.shape[0]
    h, w = ((side - INPUT_SIDE) // STRIDE + 1 for side in images.shape[1:3])
    rows, columns = (-(-windows // CPU_TILE_WINDOWS) for windows in (h, w))
    tile_h, tile_w = _tile_size(h, rows), _tile_size(w, columns)
    tile_shape = (1, STRIDE * (tile_h + HALO), STRIDE * (tile_w + HALO))
    # No window reads the last pixel of an odd side; without it the last tile ends with the image.
    pixels = images[:, : STRIDE * (h + HALO), : STRIDE * (w + HALO), 0]

    def write(k: Int[Array, ""], maps: Float[Array, "n h w 10"]) -> Float[Array, "n h w 10"]:
        image, row, column = k // (rows * columns), k // columns % rows, k % columns
        first_row, first_column = row * tile_h, column * tile_w
        # Both slices clamp a start that would reach beyond the end, by as many windows.
        corner = (image, STRIDE * first_row, STRIDE * first_column)
        tile = lax.dynamic_slice(pixels, corner, tile_shape)[0]
        start = (image, first_row, first_column, 0)
        return lax.dynamic_update_slice(maps, tile_logits(tile)[None], start)

    return lax.fori_loop(0, n * rows * columns, write, jnp.zeros((n, h, w, NUM_CLASSES)))


def _tile_size(windows: Any, tiles: Any) -> Any:
    """Returns ⌈windows / tiles⌉, with bounds 1 … windows that JAX can prove of symbolic sizes."""
    return core.min_dim(windows, core.max_dim(1, -(-windows // tiles)))
