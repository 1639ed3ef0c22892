"""Augmentation of batches: translated digits as in the paper, warped ones, or whole windows."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from digits_jax.runtime.errors import ArgumentError
from digits_jax.train.batch import Batch
from digits_jax.train.compose import compose_windows
from digits_jax.train.config import TrainConfig
from digits_jax.train.negatives.draw import NegativePictures
from digits_jax.train.random_warp import log_uniform, random_warp
from digits_jax.train.warp import Placement, warp_pictures


def augment(
    key: Key[Array, ""],
    batch: Batch,
    config: TrainConfig,
    negatives: NegativePictures | None = None,
) -> Batch:
    """Augments a batch of digits.

    It composes windows of them if `config.composes`, warps them if `config.warps`, and otherwise
    translates them.

    Args:
      key: the source of all randomness.
      batch: digits, as `sample_batch` returns them.
      config: which augmentations, and how much of each.
      negatives: the pictures of `draw_negatives()`; only needed if `config.composes`.

    Returns:
      The batch with augmented images and, for composed windows, their target confidences.

    Raises:
      ArgumentError: the configuration composes windows, and negatives are missing, or those that
        are framed.
    """
    if not config.composes:
        if config.warps:
            return batch._replace(images=warp_digits(key, batch.images, config))
        return batch._replace(images=translate(key, batch.images, config.translate_px))
    if negatives is None:
        raise ArgumentError(
            "expected negatives, since this config composes windows; got None: "
            "pass the pictures of draw_negatives()"
        )
    if config.negative_framed and negatives.framed is None:
        raise ArgumentError(
            "expected negatives with framed components, since negative_framed is "
            f"{config.negative_framed:g}; got none: pass the digits to draw_negatives()"
        )
    images, confidence = compose_windows(key, batch.images[..., 0], negatives, config)
    return batch._replace(images=images, target_confidence=confidence)


def warp_digits(
    key: Key[Array, ""], images: Float[Array, "n 28 28 1"], config: TrainConfig
) -> Float[Array, "n 28 28 1"]:
    """Scales, moves and warps digits in one interpolation (Simard, Steinkraus and Platt, 2003).

    Args:
      key: the source of all randomness.
      images: `[n, 28, 28, 1]` float32 in 0–1.
      config: the greatest amounts: `scale`, `translate_px`, and those of `random_warp`.

    Returns:
      The warped images, in the same shape and range.
    """
    scale_key, offset_key, warp_key = jax.random.split(key, 3)
    n = images.shape[0]
    offset = jax.random.uniform(offset_key, (n, 2), minval=-1.0) * config.translate_px
    scale = jax.random.uniform(scale_key, (n,))
    scale = log_uniform(scale, 1 / config.scale, config.scale)
    placement = Placement(scale, offset, blur=jnp.ones(n))
    warped = warp_pictures(images[..., 0], placement, random_warp(warp_key, placement, config))
    return jnp.clip(warped, 0.0, 1.0)[..., None]


def translate(
    key: Key[Array, ""], images: Float[Array, "n 28 28 1"], limit: int
) -> Float[Array, "n 28 28 1"]:
    """Moves each image by whole pixels along both axes, and fills with zeros (section 3.1).

    Args:
      key: the source of all randomness.
      images: `[n, 28, 28, 1]` float32.
      limit: the largest offset in pixels. Each image's two offsets are uniform on −limit … limit.

    Returns:
      The moved images, in the same shape.
    """
    n, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)))
    offsets = jax.random.randint(key, (n, 2), 0, 2 * limit + 1)

    def crop(image: Float[Array, "H W 1"], offset: Int[Array, "2"]) -> Float[Array, "h w 1"]:
        return lax.dynamic_slice(image, (offset[0], offset[1], 0), (height, width, 1))

    return jax.vmap(crop)(padded, offsets)
