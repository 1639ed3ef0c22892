"""Counts of floating-point operations, against hand-computed values."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import classify, init
from digits_jax.models.fcn.response_maps import patch_maps


def test_flops_of_a_matrix_product_and_of_a_convolution() -> None:
    a, b = jnp.zeros((3, 5, 7)), jnp.zeros((3, 7, 11))
    assert count_flops(jnp.matmul, a, b) == 2 * 3 * 5 * 7 * 11
    image, kernel = jnp.zeros((2, 9, 8, 3)), jnp.zeros((5, 4, 3, 6))

    def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            image, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    assert count_flops(convolve, image, kernel) == 2 * (2 * 5 * 5 * 6) * (5 * 4 * 3)


def test_flops_count_a_loop_as_often_as_it_runs_and_the_most_expensive_branch() -> None:
    x = jnp.zeros((4, 4))

    def loop(x: jax.Array) -> jax.Array:
        def body(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
            small = lax.cond(carry.sum() > 0, lambda y: y @ y, lambda y: y @ y @ y, carry)
            return jax.checkpoint(jnp.tanh)(small), None

        return lax.scan(body, x, length=6)[0]

    assert count_flops(jax.jit(loop), x) == 6 * 2 * (2 * 4**3)


def test_a_product_in_a_loop_of_unknown_length_is_refused() -> None:
    def loop(x: jax.Array, n: jax.Array) -> jax.Array:
        return lax.fori_loop(0, n, lambda _, y: y @ y, x)

    with pytest.raises(ValueError, match="only the run decides"):
        count_flops(loop, jnp.zeros((4, 4)), jnp.int32(3))
    assert (
        count_flops(lambda x, n: lax.fori_loop(0, n, lambda _, y: y + 1, x), jnp.zeros(4), 3) == 0
    )


def test_flops_of_the_network_are_those_of_its_four_large_layers() -> None:
    """Two convolutions and two dense layers, written out (section 2.3); for each patch the same.

    On CPU the first convolution's products reach over 36 pixels for its 25 taps.
    """
    params = init(jax.random.key(0))
    digit = 2 * (28 * 28 * 36 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 1024 + 1024 * 10)
    assert count_flops(classify, params, jnp.zeros((3, 28, 28, 1))) == 3 * digit
    assert count_flops(patch_maps, params, jnp.zeros((1, 30, 34, 1))) == 2 * 4 * digit
