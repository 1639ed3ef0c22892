"""Response maps of whole images: the classifier's output for every 28×28 window at stride 2."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from digits_jax.models.cnn import INPUT_SIDE, Params, classify
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.pyramid import PyramidLevel
from digits_jax.models.fcn.tiling import check_image_batch, map_size, pyramid_maps


class ResponseMaps(NamedTuple):
    """The network's output for each window; cell (i, j) is the window at pixel (2i, 2j)."""

    logits: Float[Array, "n h w 10"]
    probabilities: Float[Array, "n h w 10"]
    margin: Float[Array, "n h w"]  # the largest probability less the second, 0–1 (section 2.4)
    entropy: Float[Array, "n h w"]  # −Σ p ln p, 0 – ln 10, in nats
    label: Int[Array, "n h w"]  # the class of the largest


def window_of_cell(row: int, column: int) -> tuple[int, int, int, int]:
    """Returns the window `(x0, y0, x1, y1)` of a map's cell in pixels, x1 and y1 exclusive."""
    y, x = STRIDE * row, STRIDE * column
    return x, y, x + INPUT_SIDE, y + INPUT_SIDE


def response_maps(
    params: Params,
    images: Float[Array, "n H W 1"],
    *,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> ResponseMaps:
    """Classifies every 28×28 window at stride 2, in one pass over the whole images.

    The logits equal those of `classify` on each window to 1e-4 · max(1, the largest |logit|) in
    float32. (Where a logit overflows, its neighbours may overflow too.) Nothing is padded:
    h = (H − 28) // 2 + 1. The function works inside `jit`, `grad` and `vmap`. The memory beyond the
    maps themselves is bounded. The batch is spread over as many devices as divide it evenly.

    Args:
      params: as `init` or `load_checkpoint` return them.
      images: `[n, H, W, 1]` float32 in 0–1, ink bright, at least 28 px a side.
      precision: of the dots. Below `HIGHEST` they are less exact and mostly faster: `DEFAULT`
        rounds their factors to bfloat16; `HIGH` lies between the two on GPU and TPU.

    Returns:
      The maps, each `[n, h, w]` or `[n, h, w, 10]`, float32; `label` int32.

    Raises:
      ArgumentError: the images have another rank or dtype, or are smaller than a window (raised
        during tracing).
    """
    check_image_batch(images)
    level = PyramidLevel(1.0, 0.0, *images.shape[1:3])
    return to_response_maps(pyramid_maps(params, images, (level,), precision=precision)[0])


def patch_maps(params: Params, images: Float[Array, "n H W 1"]) -> ResponseMaps:
    """Computes the maps of `response_maps` by classifying each window by itself.

    This is slow, and correct by definition.

    Args, returns and raises: as for `response_maps`.
    """
    check_image_batch(images)
    h, w = map_size(images.shape[1]), map_size(images.shape[2])
    corners = jnp.stack(jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij"), -1) * STRIDE

    def logits_of_row(image: Float[Array, "H W 1"], row: Int[Array, "w 2"]) -> Float[Array, "w 10"]:
        size = (INPUT_SIDE, INPUT_SIDE, 1)
        crop = jax.vmap(lambda corner: lax.dynamic_slice(image, (corner[0], corner[1], 0), size))
        with jax.default_matmul_precision("highest"):
            return classify(params, crop(row))

    rows = lax.map(lambda image: lax.map(partial(logits_of_row, image), corners), images)
    return to_response_maps(rows)


def to_response_maps(logits: Float[Array, "n h w 10"]) -> ResponseMaps:
    """Computes probabilities, margin, entropy and label from the logits of all windows."""
    log_p = jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    entropy = -jnp.sum(p * log_p, axis=-1)
    label = jnp.argmax(p, axis=-1).astype(jnp.int32)  # of p: probabilities tie before logits do
    return ResponseMaps(logits, p, margin(p), entropy, label)


def margin(probabilities: Float[Array, "*n 10"]) -> Float[Array, "*n"]:
    """Returns the largest probability minus the second largest, 0–1 (section 2.4)."""
    top = lax.top_k(probabilities, 2)[0]
    return top[..., 0] - top[..., 1]
