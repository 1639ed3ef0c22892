"""Composed windows: digits, jittered crops and neighbours, and their target confidences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from windows import COUNT, PLAIN, blob, centres, compose

from digits_jax.train.compose import target_confidence
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.warp import Placement


def test_without_augmentation_windows_are_the_digits_some_of_them_blurred(
    digits: np.ndarray,
) -> None:
    """The blur is at most the widest triangle, and keeps all of the ink."""
    windows, confidence = compose(digits, PLAIN)
    assert (confidence == 1).all()
    unchanged = np.abs(windows - digits).max(axis=(1, 2)) < 1e-5
    assert 0.5 < unchanged.mean() < 0.7  # 0.6 expected, ± 0.02
    np.testing.assert_allclose(windows.sum(axis=(1, 2)), digits.sum(axis=(1, 2)), rtol=0.05)
    np.testing.assert_allclose(centres(windows), centres(digits), atol=0.2)


def test_the_standard_config_gives_its_shares_of_digits_and_jittered_crops(
    digits: np.ndarray,
) -> None:
    config = CONFIGS["standard"]
    windows, confidence = compose(digits, config)
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert np.isfinite(windows).all()
    # A quarter of the jittered crops is within `translate_px`, and a third of these within `scale`.
    expected = 1 - sum(config.negative_shares()) - config.jittered_crops * (1 - 1 / 12)
    share = (confidence == 1).mean()
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / COUNT)
    assert ((confidence > 0) & (confidence < 1)).mean() > config.jittered_crops / 10


def test_windows_are_a_function_of_the_key(digits: np.ndarray) -> None:
    config = CONFIGS["standard"]
    first, again, other = (compose(digits, config, jax.random.key(k)) for k in (1, 1, 2))
    for result, repeated, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(result, repeated)
        assert not np.array_equal(result, different)


def test_digits_are_translated_and_scaled_up_to_the_config_s_limits() -> None:
    pictures = np.repeat(blob(0, 0, 2)[None], COUNT, axis=0)
    config = dataclasses.replace(PLAIN, translate_px=3, scale=1.25)
    windows, confidence = compose(pictures, config)
    assert (confidence == 1).all()
    offset = centres(windows)
    assert np.abs(offset).max() < 3.05
    assert (offset.min(axis=0) < -2.8).all()
    assert (offset.max(axis=0) > 2.8).all()
    factor = np.sqrt(windows.sum(axis=(1, 2)) / pictures[0].sum())
    assert 0.78 < factor.min() < 0.83  # 1/1.25
    assert 1.21 < factor.max() < 1.28
    assert abs(np.log(factor).mean()) < 0.02


def test_jittered_crops_have_the_confidence_of_their_offset_and_scale() -> None:
    """The picture is a spot of 1 px, which a window of 28 px shows whole."""
    picture = blob(0, 0, 1)
    config = dataclasses.replace(PLAIN, jittered_crops=0.99, translate_px=3, scale=1.25)
    windows, confidence = compose(np.repeat(picture[None], COUNT, axis=0), config)
    distance = np.abs(centres(windows)).max(axis=1)
    factor = np.sqrt(windows.sum(axis=(1, 2)) / picture.sum())
    assert 11 < distance.max() < 12.1
    assert abs((distance < 3).mean() - 0.25) < 0.07
    assert factor.min() < 0.66
    assert 2.0 < factor.max() < 2.3
    expected = np.clip((6 - distance) / 3, 0, 1)
    expected *= np.clip(np.log(1.45 / factor) / np.log(1.45 / 1.25), 0, 1)
    expected *= np.clip(np.log(factor / 0.62) / np.log(0.8 / 0.62), 0, 1)
    # A spot's centre and size follow from its pixels to some hundredths.
    assert np.quantile(np.abs(confidence - expected), 0.99) < 0.12
    assert np.abs(confidence - expected).mean() < 0.02


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1.0, (0, 0), 1.0),
        (1.25, (3, -3), 1.0),
        (0.8, (0, 2.9), 1.0),
        (1.0, (0, 4), 2 / 3),
        (1.0, (-5, 4), 1 / 3),
        (1.0, (1, 6), 0.0),
        (np.sqrt(1.25 * 1.45), (0, 0), 0.5),
        (np.sqrt(0.8 * 0.62), (4.5, 0), 0.25),
        (1.5, (0, 0), 0.0),
        (0.6, (0, 0), 0.0),
    ],
)
def test_target_confidence_falls_from_1_for_digits_to_0_for_negatives(
    scale: float, offset: tuple[float, float], expected: float
) -> None:
    placement = Placement(jnp.float32([scale]), jnp.float32([offset]), jnp.ones(1))
    confidence = target_confidence(placement, CONFIGS["standard"])
    np.testing.assert_allclose(confidence, [expected], atol=1e-5)


def test_target_confidence_is_1_up_to_a_large_translation_and_scale_of_the_config() -> None:
    config = dataclasses.replace(CONFIGS["standard"], translate_px=9, scale=2.0)
    placement = Placement(
        jnp.array([1.0, 1.9, 0.55]), jnp.array([[0, 8.9], [0, 0], [9, 0]]), jnp.ones(3)
    )
    np.testing.assert_array_equal(target_confidence(placement, config), 1)


def test_neighbours_only_add_ink_and_have_the_config_s_mean_number(digits: np.ndarray) -> None:
    """One digit in four is a full square, which is visible wherever it is a neighbour."""
    pictures = np.zeros((COUNT, 28, 28))
    pictures[::4] = 1
    configs = [dataclasses.replace(PLAIN, neighbours=mean) for mean in (0.0, 1.2, 3.0)]
    none, some, three = (compose(pictures, config)[0] for config in configs)
    assert (some >= none).all()
    assert (three >= some).all()
    empty = np.arange(COUNT) % 4 > 0  # windows whose own digit is empty
    visible = [windows[empty].any(axis=(1, 2)).mean() for windows in (none, some, three)]
    assert visible[0] == 0
    assert 0.3 < visible[1] < 0.52  # 0.4 a neighbour, some of which are shapes instead
    assert visible[2] > 0.85
    # Windows are crowded or empty: with probabilities u^1.5 each, all three neighbours are missing
    # in 0.37 of the windows; with a fixed 0.4 it would be 0.22.
    around_empty = compose(1 - pictures, configs[1])[0][::4]
    assert 0.55 < around_empty.any(axis=(1, 2)).mean() < 0.69

    confidence = compose(digits, configs[2])[1]
    assert (confidence == 1).all()
