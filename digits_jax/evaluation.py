"""How many digits a network gets right."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8

from digits_jax.data import Dataset
from digits_jax.network import Params, classify
from digits_jax.step import pixels

BATCH = 500  # digits classified at once; 50 MB of features


@jax.jit
def _errors(
    params: Params, images: UInt8[Array, "n 28 28"], labels: UInt8[Array, " n"]
) -> Int[Array, ""]:
    return jnp.sum(jnp.argmax(classify(params, pixels(images)), axis=-1) != labels)


def count_errors(params: Params, dataset: Dataset) -> int:
    """The number of digits whose most probable class is not their label."""
    counts: list[Int[Array, ""]] = [
        _errors(
            params, dataset.images[start : start + BATCH], dataset.labels[start : start + BATCH]
        )
        for start in range(0, len(dataset.labels), BATCH)
    ]
    return sum(int(count) for count in counts)


def accuracy(params: Params, dataset: Dataset) -> float:
    """The share of digits classified correctly, 0–1 (section 2.1)."""
    examples = len(dataset.labels)
    return (examples - count_errors(params, dataset)) / examples
