"""How many digits a network gets right."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from digits_jax.data.mnist import Dataset
from digits_jax.models.cnn import Params, classify
from digits_jax.train.step import to_network_input

BATCH = 500  # digits classified at once; 50 MB of features


@jax.jit
def _errors(params: Params, dataset: Dataset) -> Int[Array, ""]:
    predicted = jnp.argmax(classify(params, to_network_input(dataset.images)), axis=-1)
    return jnp.sum(predicted != dataset.labels.astype(jnp.int32))


def count_errors(params: Params, dataset: Dataset) -> int:
    """The number of digits whose most probable class is not their label."""
    starts = range(0, len(dataset.labels), BATCH)
    batches = [jax.tree.map(lambda leaf, i=i: leaf[i : i + BATCH], dataset) for i in starts]
    counts = [_errors(params, batch) for batch in batches]
    return sum(int(count) for count in counts)


def accuracy(params: Params, dataset: Dataset) -> float:
    """The share of digits classified correctly, 0–1 (section 2.1)."""
    examples = len(dataset.labels)
    return (examples - count_errors(params, dataset)) / examples
