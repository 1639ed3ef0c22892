import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array, lax

from digits_jax.convolution import convolve


def reference(images: Array, kernel: Array) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def test_an_impulse_is_answered_by_the_kernel_turned_around() -> None:
    image = jnp.zeros((1, 7, 7, 1)).at[0, 3, 3, 0].set(2)
    kernel = jnp.arange(25.0).reshape(5, 5, 1, 1)
    expected = np.zeros((7, 7))
    expected[1:6, 1:6] = 2 * np.arange(25.0)[::-1].reshape(5, 5)
    np.testing.assert_array_equal(convolve(image, kernel)[0, :, :, 0], expected)


def test_a_window_sees_zeros_outside_the_image() -> None:
    ones = jnp.ones((1, 6, 6, 1))
    answer = convolve(ones, jnp.ones((5, 5, 1, 1)))[0, :, :, 0]
    np.testing.assert_array_equal(answer[0], [9, 12, 15, 15, 12, 9])
    np.testing.assert_array_equal(answer[2], [15, 20, 25, 25, 20, 15])


# One, a whole chunk, and batches that whole chunks do not divide.
@pytest.mark.parametrize("n", [1, 64, 65, 131])
@pytest.mark.parametrize(("c", "o"), [(1, 8), (3, 2)])
def test_batches_of_any_size(n: int, c: int, o: int) -> None:
    _compare(n, 6, 7, c, o, seed=n)


@settings(max_examples=8, deadline=None)
@given(
    n=st.integers(1, 9),
    h=st.integers(1, 12),
    w=st.integers(1, 12),
    c=st.integers(1, 4),
    o=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
)
def test_equals_xlas_convolution_and_its_gradients(
    n: int, h: int, w: int, c: int, o: int, seed: int
) -> None:
    _compare(n, h, w, c, o, seed)


def _compare(n: int, h: int, w: int, c: int, o: int, seed: int) -> None:
    keys = jax.random.split(jax.random.key(seed), 3)
    images = jax.random.normal(keys[0], (n, h, w, c))
    kernel = jax.random.normal(keys[1], (5, 5, c, o))
    gradient = jax.random.normal(keys[2], (n, h, w, o))
    ours, pull = jax.vjp(convolve, images, kernel)
    theirs, pull_reference = jax.vjp(reference, images, kernel)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    for mine, other in zip(pull(gradient), pull_reference(gradient), strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5 * max(1.0, scale))
