"""The response maps as one program for images of any size, which runs without this package.

`jax.export` traces the maps with names for the sizes instead of numbers. The tiles of `maps` are
found here by arithmetic that such names can stand: of an axis with h windows every tile has as many
of them, ⌈h / ⌈h / 48⌉⌉, and the last begins where it still fits, so that nothing is padded and
windows that two tiles share are written twice, with the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from jax import core, export, lax
from jaxtyping import Array, Float, Int

from digits_jax.maps import TILE_ON_CPU, describe, map_size
from digits_jax.network import CLASSES, SIDE, Params
from digits_jax.tile import HALO, STRIDE, tile_logits

PLATFORMS = ("cpu", "cuda", "tpu")


def maps_program(params: Params) -> bytes:
    """What `response_maps` computes with these parameters, for `jax.export.deserialize`.

    The program takes images `[n, H, W, 1]` of float32 in 0–1, ink bright, n ≥ 1, H and W ≥ 28, and
    returns a dictionary of what `ResponseMaps` names. Its products are float32 on every platform.
    It has no gradient. Beyond images and maps it takes a tile's memory, some 200 MB, on one device.

    JAX promises to run it in versions up to six months newer and three weeks older than this one.

    Args:
      params: as `init` or `load_checkpoint` return them.

    Returns:
      The program with the parameters in it, for CPU, CUDA and TPU.
    """

    def response_maps(images: Float[Array, "n H W 1"]) -> dict[str, Array]:
        return describe(_logits(params, images))._asdict()

    shape = export.symbolic_shape("n, H, W, 1", constraints=(f"H >= {SIDE}", f"W >= {SIDE}"))
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    with _without_source_lines():
        exported = export.export(jax.jit(response_maps), platforms=PLATFORMS)(images)
    return bytes(exported.serialize())


@contextmanager
def _without_source_lines() -> Iterator[None]:
    """So that a program tells nobody the folders of the machine that it was written on."""
    before = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)


def _logits(params: Params, images: Float[Array, "n H W 1"]) -> Float[Array, "n h w 10"]:
    """The logits of every window; the sizes may be symbolic."""
    n = images.shape[0]
    h, w = (map_size(pixels) for pixels in images.shape[1:3])
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
        logits = tile_logits(params, cut, precision=lax.Precision.HIGHEST)
        return lax.dynamic_update_slice(maps, logits[None], (image, first_row, first_column, 0))

    return lax.fori_loop(0, n * rows * columns, write, jnp.zeros((n, h, w, CLASSES)))


def _part(windows: Any, parts: Any) -> Any:
    """⌈windows / parts⌉, in bounds that are known also where the numbers are not."""
    return core.min_dim(windows, core.max_dim(1, -(-windows // parts)))
