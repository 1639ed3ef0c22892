"""The fused convolution and pooling against hand-computed values and XLA's own operations."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array, lax

from digits_jax.models.pooled_conv import CHUNK, convolve_and_pool


def reference(images: Array, kernel: Array) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    pixels = lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    return lax.reduce_window(pixels, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


# With two channels, the second of which is empty, the form for several channels is used.
@pytest.mark.parametrize("channels", [1, 2])
def test_the_response_to_an_impulse_is_the_kernel_rotated_by_180_degrees(channels: int) -> None:
    image = jnp.zeros((1, 8, 8, channels)).at[0, 3, 3, 0].set(2)
    kernel = jnp.arange(25.0).reshape(5, 5, 1, 1) + jnp.zeros((5, 5, channels, 1))
    pixels = np.zeros((8, 8))
    pixels[1:6, 1:6] = 2 * np.arange(25.0)[::-1].reshape(5, 5)
    expected = [[48, 46, 42, 0], [38, 36, 32, 0], [18, 16, 12, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(pixels.reshape(4, 2, 4, 2).max(axis=(1, 3)), expected)
    np.testing.assert_array_equal(convolve_and_pool(image, kernel)[0, :, :, 0], expected)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_image_is_padded_with_zeros(channels: int) -> None:
    """Each pixel counts its taps inside: 9 in the corner, 12 next to it, and 25 in the middle."""
    ones = jnp.ones((1, 8, 8, channels))
    pooled = convolve_and_pool(ones, -jnp.ones((5, 5, channels, 1)) / channels)[0, :, :, 0]
    np.testing.assert_allclose(pooled[0], [-9, -15, -15, -9])
    np.testing.assert_allclose(pooled[1], [-15, -25, -25, -15])


def test_the_gradient_goes_to_the_largest_pixel_of_a_cell() -> None:
    """In one cell that is the second of four pixels, in the other the first of equal ones."""
    identity = jnp.zeros((5, 5, 2, 2)).at[2, 2].set(jnp.eye(2))
    image = jnp.array([[1.0, 2, -5, -6], [0, 1, -5, -7]])
    images = jnp.stack([image, jnp.zeros_like(image)], axis=-1)[None]
    _, pull = jax.vjp(lambda images: convolve_and_pool(images, identity), images)
    (gradient,) = pull(jnp.array([[3.0, 0], [4, 0]]).reshape(1, 1, 2, 2))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 3, 4, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(gradient[0, :, :, 1], np.zeros((2, 4)))


# One image, a whole chunk, and batches whose last chunk is not full.
@pytest.mark.parametrize("n", [1, CHUNK, CHUNK + 1, 3 * CHUNK - 1])
@pytest.mark.parametrize(("c", "o"), [(1, 8), (3, 2)])
def test_batches_of_whole_and_partial_chunks_equal_xla_s_convolution(
    n: int, c: int, o: int
) -> None:
    _compare(n, 6, 8, c, o, seed=n)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    n=st.integers(1, 9),
    h=st.integers(1, 6),
    w=st.integers(1, 6),
    c=st.integers(1, 4),
    o=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
)
def test_equals_xla_s_convolution_and_its_gradients(
    n: int, h: int, w: int, c: int, o: int, seed: int
) -> None:
    _compare(n, 2 * h, 2 * w, c, o, seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_compute_dtype_bfloat16_is_exact_for_factors_that_bfloat16_holds(channels: int) -> None:
    """Products and sums are float32: only the rounding of factors makes a difference."""
    _compare(CHUNK + 1, 6, 8, channels, 4, seed=2, compute_dtype="bfloat16")


def _compare(
    n: int, h: int, w: int, c: int, o: int, seed: int, compute_dtype: str = "float32"
) -> None:
    keys = jax.random.split(jax.random.key(seed), 3)
    images = _random(keys[0], (n, h, w, c), compute_dtype)
    kernel = _random(keys[1], (5, 5, c, o), compute_dtype)
    gradient = _random(keys[2], (n, h // 2, w // 2, o), compute_dtype)

    @partial(jax.jit, static_argnums=0)
    def with_gradients(function: Callable[..., Array]) -> tuple[Array, Array, Array]:
        pooled, pull = jax.vjp(function, images, kernel)
        return pooled, *pull(gradient)

    arrays = with_gradients(lambda x, k: convolve_and_pool(x, k, compute_dtype))
    for array, other in zip(arrays, with_gradients(reference), strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(array, other, rtol=1e-4, atol=1e-5 * max(1.0, scale))


def _random(key: Array, shape: tuple[int, ...], dtype: str) -> Array:
    return jax.random.normal(key, shape).astype(dtype).astype("float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_accelerators_use_xla_s_own_operations(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    _compare(3, 6, 8, channels, 4, seed=1)
