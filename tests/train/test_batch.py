"""Batches sampled from the training set."""

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.data.mnist import Dataset
from digits_jax.images.pixels import uint8_to_float
from digits_jax.train.batch import sample_batch


def test_sample_batch_draws_digits_of_the_set_with_their_labels(train_digits: Dataset) -> None:
    five = Dataset(train_digits.images[:5], train_digits.labels[:5])
    batch = sample_batch(jax.random.key(0), five, 400)
    assert batch.images.shape == (400, 28, 28, 1)
    assert batch.images.dtype == jnp.float32
    np.testing.assert_array_equal(batch.target_confidence, np.ones(400))
    originals = uint8_to_float(np.asarray(five.images))
    for image, label in zip(np.asarray(batch.images[..., 0]), batch.labels, strict=True):
        row = [np.allclose(image, original, atol=1e-6) for original in originals].index(True)
        assert label == five.labels[row]


def test_sample_batch_is_uniform_over_the_whole_set() -> None:
    rows = np.arange(250, dtype=np.uint8)
    dataset = Dataset(jnp.broadcast_to(rows[:, None, None], (250, 28, 28)), jnp.asarray(rows))
    counts = np.bincount(sample_batch(jax.random.key(1), dataset, 25_000).labels, minlength=250)
    assert counts.min() > 50  # 100 expected, ± 10
    assert counts.max() < 150


def test_sample_batch_is_a_function_of_its_key(train_digits: Dataset) -> None:
    first, again, other = (sample_batch(jax.random.key(k), train_digits, 8) for k in (0, 0, 1))
    assert jnp.array_equal(first.images, again.images)
    assert not jnp.array_equal(first.images, other.images)
