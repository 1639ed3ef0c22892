"""Accuracy of a network on a dataset."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from digits_jax.data.mnist import Dataset
from digits_jax.models.cnn import Params, classify
from digits_jax.train.batch import to_network_input

EVALUATION_BATCH = 500  # digits classified at once; their features take 50 MB


def count_errors(params: Params, dataset: Dataset) -> int:
    """Returns the number of digits whose most probable class is not their label."""
    starts = range(0, len(dataset.labels), EVALUATION_BATCH)
    batches = [
        jax.tree.map(lambda leaf, i=i: leaf[i : i + EVALUATION_BATCH], dataset) for i in starts
    ]
    counts = [_count_batch_errors(params, batch) for batch in batches]
    return sum(int(count) for count in counts)


def accuracy(params: Params, dataset: Dataset) -> float:
    """Returns the share of digits classified correctly, 0–1 (section 2.1)."""
    examples = len(dataset.labels)
    return (examples - count_errors(params, dataset)) / examples


@jax.jit
def _count_batch_errors(params: Params, batch: Dataset) -> Int[Array, ""]:
    predicted = jnp.argmax(classify(params, to_network_input(batch.images)), axis=-1)
    return jnp.sum(predicted != batch.labels.astype(jnp.int32))
