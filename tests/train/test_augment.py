"""Augmentation of batches: translated digits, or composed windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from windows import COUNT, KEY, PLAIN, blob, centres, compose, negatives_without_components

from digits_jax.data.mnist import Dataset
from digits_jax.train.augment import augment, translate, warp_digits
from digits_jax.train.batch import Batch, sample_batch
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.negatives.draw import draw_negatives


def test_translate_moves_whole_images_to_every_offset_within_the_limit() -> None:
    dots = jnp.zeros((4000, 28, 28, 1)).at[:, 14, 14, 0].set(0.5)
    moved = np.asarray(translate(jax.random.key(2), dots, 6))
    image, row, column, _ = np.nonzero(moved)
    np.testing.assert_array_equal(image, np.arange(4000))  # one dot each, nothing lost
    assert set(np.unique(moved)) == {0, 0.5}
    offsets = set(zip((row - 14).tolist(), (column - 14).tolist(), strict=True))
    assert offsets == {(y, x) for y in range(-6, 7) for x in range(-6, 7)}


def test_translate_fills_with_zeros_and_drops_pixels_that_leave_the_image() -> None:
    moved = np.asarray(translate(jax.random.key(3), jnp.ones((200, 28, 28, 1)), 6))[..., 0]
    for image in moved:
        rows, columns = image.any(axis=1), image.any(axis=0)
        assert 22 <= rows.sum() <= 28
        np.testing.assert_array_equal(image, np.outer(rows, columns))
    assert min(image.sum() for image in moved) < 28 * 28


def test_translate_with_a_limit_of_0_px_changes_nothing(train_digits: Dataset) -> None:
    images = sample_batch(jax.random.key(0), train_digits, 4).images
    np.testing.assert_array_equal(translate(jax.random.key(1), images, 0), images)


def test_warp_digits_moves_and_scales_within_the_config_s_limits() -> None:
    config = dataclasses.replace(PLAIN, translate_px=3, scale=1.25)
    blobs = jnp.asarray(np.stack([blob(0, 0, 2.0)] * COUNT), jnp.float32)[..., None]
    warped = np.asarray(warp_digits(KEY, blobs, config))[..., 0]
    offsets = centres(warped)
    assert np.abs(offsets).max() < 3.1
    assert np.abs(offsets).max(axis=0).min() > 2.8
    # The ink grows with the square of the scale.
    scales = np.sqrt(warped.sum(axis=(1, 2)) / np.asarray(blobs[0]).sum())
    assert 0.75 < scales.min() < 0.84
    assert 1.2 < scales.max() < 1.3


def test_a_config_that_warps_needs_no_negatives(digits: np.ndarray) -> None:
    config = dataclasses.replace(PLAIN, rotation_deg=10.0)
    batch = Batch(jnp.asarray(digits)[..., None], jnp.zeros(COUNT, jnp.uint8), jnp.ones(COUNT))
    result = augment(KEY, batch, config)
    np.testing.assert_array_equal(result.images, warp_digits(KEY, batch.images, config))
    np.testing.assert_array_equal(result.target_confidence, 1)
    assert (result.images >= 0).all()
    assert (result.images <= 1).all()
    rotated = np.abs(np.asarray(result.images)[..., 0] - digits).max(axis=(1, 2)) > 0.1
    assert rotated.mean() > 0.8


@pytest.mark.slow
def test_augment_returns_composed_windows_with_their_labels_and_confidences(
    digits: np.ndarray,
) -> None:
    images = jnp.asarray(digits)[..., None]
    labels = jnp.asarray(np.arange(COUNT) % 10, jnp.uint8)
    config = CONFIGS["standard"]
    batch = Batch(images, labels, jnp.ones(COUNT))
    with pytest.raises(ValueError, match=r"expected negatives.*draw_negatives\(\)"):
        augment(KEY, batch, config)
    with pytest.raises(ValueError, match=r"framed components, since .* is 0\.17; got"):
        augment(KEY, batch, config, draw_negatives())
    negatives = negatives_without_components()
    result = augment(KEY, batch, config, negatives)
    windows, confidence = compose(digits, config)
    np.testing.assert_array_equal(result.images[..., 0], windows)
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_array_equal(result.target_confidence, confidence)


def test_the_paper_s_config_only_translates(digits: np.ndarray) -> None:
    config = CONFIGS["paper"]
    assert not config.composes
    assert CONFIGS["standard"].composes
    images = jnp.asarray(digits)[..., None]
    labels = jnp.asarray(np.arange(COUNT) % 10, jnp.uint8)
    result = augment(KEY, Batch(images, labels, jnp.ones(COUNT)), config)
    np.testing.assert_array_equal(result.images, translate(KEY, images, 6))
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_array_equal(result.target_confidence, 1)
