"""The response maps equal the classifier's output for every window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jax import lax
from map_cases import assert_same_logits, jitted_patch_maps, own_level, random_params

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.models.fcn.features import window_features
from digits_jax.models.fcn.response_maps import (
    patch_maps,
    response_maps,
    to_response_maps,
    window_of_cell,
)
from digits_jax.models.fcn.tiling import map_size, pyramid_maps

# Each compiles once. Odd sides, not square; the batch of four is spread over the four devices.
SHAPES = [(1, 75, 36), (4, 31, 46)]


@st.composite
def batches(draw: st.DrawFn) -> jax.Array:
    shape = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    low, high = draw(st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-1e3, 1e3), (0.0, 0.0)]))
    pixels = rng.uniform(low, high, (*shape, 1))
    pixels[rng.random(pixels.shape) < draw(st.sampled_from([0.0, 0.8]))] = 0
    pixels[rng.random(pixels.shape) < draw(st.sampled_from([0.0, 0.001]))] = 1e3
    return jnp.asarray(pixels, jnp.float32)


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    images=batches(),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.3, 1.0, 2.0]),
    bias=st.sampled_from([0.0, 0.3, 3.0]),
)
def test_response_maps_equal_the_classifier_on_every_window(
    images: jax.Array, seed: int, scale: float, bias: float
) -> None:
    params = random_params(seed, scale, bias)
    maps = response_maps(params, images)
    assert_same_logits(maps.logits, jitted_patch_maps(params, images).logits)
    assert len(maps.logits.sharding.device_set) == len(images)


def test_patch_maps_classify_the_window_of_each_cell() -> None:
    """The slow maps, to which the fast ones are compared, against slices written out."""
    params = random_params(0)
    images = jax.random.uniform(jax.random.key(1), SHAPES[0] + (1,))
    maps = jitted_patch_maps(params, images).logits
    assert maps.shape == (1, map_size(75), map_size(36), 10)
    for row, column in [(0, 0), (3, 1), (23, 4)]:
        x0, y0, x1, y1 = window_of_cell(row, column)
        expected = digits_jax.classify(params, images[:, y0:y1, x0:x1])
        assert_same_logits(maps[:, row, column], expected)


def test_response_maps_equal_patch_maps_on_a_scene(mnist: Mnist) -> None:
    """Where the background is exactly black, all maxima tie."""
    scene = compose("native", "validation", 1, 0, mnist=mnist)[0]
    image = jnp.asarray(scene.image[None, ..., None], jnp.float32) / 255
    params = random_params(2)
    maps, expected = response_maps(params, image), jitted_patch_maps(params, image)
    assert maps.logits.shape == (1, 57, 57, 10)
    for array, other in zip(maps, expected, strict=True):
        assert array.dtype == other.dtype
        assert array.shape == other.shape
    assert_same_logits(maps.logits, expected.logits)
    np.testing.assert_allclose(maps.margin, expected.margin, atol=1e-3)
    np.testing.assert_allclose(maps.entropy, expected.entropy, atol=1e-3)
    clear = np.asarray(expected.margin) > 1e-3
    np.testing.assert_array_equal(maps.label[clear], expected.label[clear])


@pytest.mark.slow
def test_default_precision_rounds_factors_to_bfloat16(mnist: Mnist) -> None:
    """bfloat16 has 8 bits; the errors of some thousand products cancel to a few in a thousand."""
    scene = compose("native", "validation", 1, 0, mnist=mnist)[0]
    image = jnp.asarray(scene.image[None, ..., None], jnp.float32) / 255
    exact = response_maps(digits_jax.load_pretrained(), image)
    maps = response_maps(digits_jax.load_pretrained(), image, precision=lax.Precision.DEFAULT)
    assert maps.logits.dtype == jnp.float32
    difference = np.abs(maps.logits - exact.logits) / np.abs(exact.logits).max()
    assert 1e-5 < difference.mean() < difference.max() < 0.02
    clear = np.asarray(exact.margin) > 0.5
    assert clear.sum() > 20
    np.testing.assert_array_equal(maps.label[clear], exact.label[clear])
    low = lax.Precision.DEFAULT
    extents = [jnp.array([maps.logits.shape[1:3]])]
    (sparse,) = pyramid_maps(
        digits_jax.load_pretrained(), image, own_level(image), valid_extents=extents, precision=low
    )
    np.testing.assert_allclose(sparse, maps.logits, rtol=0, atol=1e-3)
    cells = window_features(random_params(0), image[0, :40, :40, 0], precision=low)
    assert {grid.dtype for grid in cells.values()} == {jnp.dtype(jnp.bfloat16)}


def test_response_maps_of_one_window_under_vmap_and_jit_equal_the_classifier() -> None:
    params = random_params(3)
    images = jax.random.uniform(jax.random.key(4), (3, 28, 28, 1))
    map_each = jax.jit(jax.vmap(lambda image: response_maps(params, image[None]).logits[0]))
    expected = digits_jax.classify(params, images)
    assert_same_logits(map_each(images), expected[:, None, None])


def test_pixels_that_no_window_reads_change_nothing() -> None:
    """These are the last row and column of odd sides. Windows next to them share products."""
    params = random_params(10)
    image = np.random.default_rng(11).random((1, 31, 47, 1), np.float32)
    bright = image.copy()
    bright[:, -1] = bright[:, :, -1] = 1e30
    maps = response_maps(params, jnp.asarray(bright)).logits
    np.testing.assert_array_equal(maps, response_maps(params, jnp.asarray(image)).logits)


def test_probabilities_margin_entropy_and_label_of_logits() -> None:
    p = np.full(10, 0.02)
    p[[7, 3]] = 0.54, 0.3
    certain = np.where(np.arange(10) == 4, 1e4, 0.0)
    logits = jnp.asarray(np.stack([np.log(p) + 5, np.zeros(10), certain]), jnp.float32)
    maps = to_response_maps(logits.reshape(1, 1, 3, 10))
    np.testing.assert_array_equal(maps.logits[0, 0], logits)
    np.testing.assert_allclose(maps.probabilities[0, 0, 0], p, rtol=1e-5)
    np.testing.assert_allclose(maps.probabilities[0, 0, 2], certain / 1e4)
    np.testing.assert_allclose(maps.margin[0, 0], [0.24, 0, 1], atol=1e-6)
    entropy = -(0.54 * np.log(0.54) + 0.3 * np.log(0.3) + 8 * 0.02 * np.log(0.02))
    np.testing.assert_allclose(maps.entropy[0, 0], [entropy, np.log(10), 0], atol=1e-6)
    np.testing.assert_array_equal(maps.label[0, 0], [7, 0, 4])
    assert maps.label.dtype == jnp.int32
    # Where logits differ but their probabilities tie, the label is that of the probabilities.
    tie = to_response_maps(jnp.zeros((1, 1, 1, 10)).at[..., 3].set(1e-9))
    assert tie.label[0, 0, 0] == np.argmax(tie.probabilities) == 0


def test_window_of_cell_puts_x_first() -> None:
    assert window_of_cell(0, 0) == (0, 0, 28, 28)
    assert window_of_cell(3, 5) == (10, 6, 38, 34)


@pytest.mark.parametrize("compute_maps", [response_maps, patch_maps])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 27, 40, 1), "float32"),
        ((1, 40, 27, 1), "float32"),
        ((28, 28, 1), "float32"),
        ((1, 28, 28), "float32"),
        ((1, 28, 28, 3), "float32"),
        ((0, 28, 28, 1), "float32"),
        ((1, 28, 28, 1), "float16"),
        ((1, 28, 28, 1), "uint8"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_other_shapes_and_dtypes_are_refused(
    compute_maps: jax.stages.Wrapped, shape: tuple[int, ...], dtype: str
) -> None:
    params = digits_jax.init(jax.random.key(0))
    sides = ", ".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"at least 28 px a side; got \[{sides}\] of {dtype}"):
        compute_maps(params, jnp.zeros(shape, dtype))
