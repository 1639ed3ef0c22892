"""The response maps as one program for images of any size, which runs without this package.

`jax.export` traces the maps with names for the sizes instead of numbers. The tiles of `levels` are
found here by arithmetic that such names can stand: of an axis with h windows every tile has as many
of them, ⌈h / ⌈h / 64⌉⌉, and the last begins where it still fits, so that nothing is padded and
windows that two tiles share are written twice, with the same numbers.
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
from digits_jax.models.fcn.tiling import TILE_ON_CPU
from digits_jax.runtime.jax_config import temporary_jax_config

PLATFORMS = ("cpu", "cuda", "tpu")

Windows = Callable[[Float[Array, "H W"]], Float[Array, "h w 10"]]


def response_maps_to_stablehlo(params: Params) -> bytes:
    """What `response_maps` computes with these parameters, for `jax.export.deserialize`.

    The program takes images `[n, H, W, 1]` of float32 in 0–1, ink bright, n ≥ 1, H and W ≥ 28, and
    returns a dictionary of what `ResponseMaps` names. Its products are float32 on every platform.
    It has no gradient. Beyond images and maps it takes a tile's memory, some 160 MB, on one device.

    JAX promises to run it in releases up to six months newer and three weeks older than the one
    that wrote it. `Exported.serialize` needs the package flatbuffers, as does `deserialize`.

    Args:
      params: as `init` or `load_checkpoint` return them.

    Returns:
      The program with the parameters in it, for CPU, CUDA and TPU.
    """

    def response_maps(images: Float[Array, "n H W 1"]) -> dict[str, Array]:
        return to_response_maps(_logits(windows.call, images))._asdict()

    tile = f"{STRIDE}*h + {STRIDE * HALO}, {STRIDE}*w + {STRIDE * HALO}"
    precision = lax.Precision.HIGHEST
    dense = dense_head(params, precision=precision)

    def windows_of_tile(tile: Float[Array, "H W"]) -> Float[Array, "h w 10"]:
        h, w = (side // STRIDE - HALO for side in tile.shape)
        return dense(window_features(params, tile, precision=precision), (h, w))

    # So that it tells nobody the folders of the machine that it was written on.
    with temporary_jax_config(jax_traceback_in_locations_limit=0):
        # On its own, since every shape in it would else be worked out from the whole image's sizes.
        windows = _exported(
            windows_of_tile,
            export.symbolic_shape(tile),
        )
        maps = _exported(
            response_maps,
            # A name is of one or more: other constraints would be lost on the way to the reader.
            export.symbolic_shape(f"n, H + {INPUT_SIDE - 1}, W + {INPUT_SIDE - 1}, 1"),
        )
    return bytes(maps.serialize())


def _exported(function: Callable[[Array], Any], shape: Sequence[Any]) -> export.Exported:
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    return export.export(jax.jit(function), platforms=PLATFORMS)(image)


def _logits(windows_of: Windows, images: Float[Array, "n H W 1"]) -> Float[Array, "n h w 10"]:
    """The logits of every window; the sizes may be symbolic."""
    n = images.shape[0]
    h, w = ((side - INPUT_SIDE) // STRIDE + 1 for side in images.shape[1:3])
    rows, columns = (-(-windows // TILE_ON_CPU) for windows in (h, w))
    tile_h, tile_w = _part(h, rows), _part(w, columns)
    tile = (1, STRIDE * (tile_h + HALO), STRIDE * (tile_w + HALO))
    # Of an odd side no window reads the last pixel; without it the last tile ends where they do.
    pixels = images[:, : STRIDE * (h + HALO), : STRIDE * (w + HALO), 0]

    def write(k: Int[Array, ""], maps: Float[Array, "n h w 10"]) -> Float[Array, "n h w 10"]:
        image, row, column = k // (rows * columns), k // columns % rows, k % columns
        first_row, first_column = row * tile_h, column * tile_w
        # Both slices move back what would reach over the edge, by as many windows.
        corner = (image, STRIDE * first_row, STRIDE * first_column)
        cut = lax.dynamic_slice(pixels, corner, tile)[0]
        at = (image, first_row, first_column, 0)
        return lax.dynamic_update_slice(maps, windows_of(cut)[None], at)

    return lax.fori_loop(0, n * rows * columns, write, jnp.zeros((n, h, w, NUM_CLASSES)))


def _part(windows: Any, parts: Any) -> Any:
    """⌈windows / parts⌉, in bounds that are known also where the numbers are not."""
    return core.min_dim(windows, core.max_dim(1, -(-windows // parts)))
