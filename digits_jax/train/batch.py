"""Batches of digits: their type, and how they are sampled from the training set."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from digits_jax.data.mnist import Dataset
from digits_jax.images.pixels import uint8_to_float


class Batch(NamedTuple):
    """Windows to learn from."""

    images: Float[Array, "n 28 28 1"]  # 0–1, ink bright
    labels: UInt8[Array, " n"]  # the class of each window's digit, 0–9
    target_confidence: Float[Array, " n"]  # 1: a digit; 0: a negative; between: a jittered crop


def to_network_input(images: UInt8[Array | np.ndarray, "n 28 28"]) -> Float[Array, "n 28 28 1"]:
    """Converts grey values 0–255 to what the network takes: float32 in 0–1 with a channel axis."""
    return uint8_to_float(jnp.asarray(images)[..., None])


def sample_batch(
    key: Key[Array, ""],
    dataset: Dataset,
    n: int,
    *,
    hands: Dataset | None = None,
    share: float = 0.0,
    mnist: Dataset | None = None,
    mnist_share: float = 0.0,
) -> Batch:
    """Draws digits from a dataset uniformly, with replacement, and shares from other ones.

    Args:
      key: the source of all randomness.
      dataset: the digits to draw from.
      n: the number of digits to draw.
      hands: the digits in other hands, or None.
      share: the probability with which a digit is drawn from `hands`.
      mnist: MNIST's digits, if the dataset is another, or None.
      mnist_share: the probability with which a digit that is not of `hands` is one of `mnist`.

    Returns:
      The digits as a batch, each with a target confidence of 1.
    """
    images, labels = _sample_digits(key, dataset, n)
    for number, other, other_share in ((2, mnist, mnist_share), (1, hands, share)):
        if other is None or other_share == 0:
            continue
        share_key, rows_key = jax.random.split(jax.random.fold_in(key, number))
        other_images, other_labels = _sample_digits(rows_key, other, n)
        is_other = jax.random.bernoulli(share_key, other_share, (n,))
        images = jnp.where(is_other[:, None, None], other_images, images)
        labels = jnp.where(is_other, other_labels, labels)
    return Batch(to_network_input(images), labels, jnp.ones(n))


def _sample_digits(
    key: Key[Array, ""], dataset: Dataset, n: int
) -> tuple[UInt8[Array, "n 28 28"], UInt8[Array, " n"]]:
    rows = jax.random.randint(key, (n,), 0, dataset.labels.shape[0])
    return jnp.asarray(dataset.images)[rows], jnp.asarray(dataset.labels)[rows]
