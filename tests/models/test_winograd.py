"""Minimal filtering F(4, 3) against direct sums."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from digits_jax.models.fcn import winograd
from digits_jax.models.fcn.winograd import filter_three_taps, transform_kernel
from digits_jax.models.mixed_precision import matmul


def test_six_products_give_four_sums_of_three_terms() -> None:
    """Y = A[(G k) ∘ (B d)] is Σ_t d[i + t] k[t], exactly for numbers of few digits."""
    rng = np.random.default_rng(0)
    d, k = rng.integers(-9, 9, (50, 6)), 24 * rng.integers(-9, 9, (50, 3))
    a, b, g = (np.array(matrix) for matrix in (winograd.A, winograd.B, winograd.G))
    assert b.shape == (6, 6)
    y = ((k @ g.T) * (d @ b.T)) @ a.T
    expected = [(d[:, i : i + 3] * k).sum(axis=1) for i in range(4)]
    np.testing.assert_allclose(y, np.stack(expected, axis=1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1])
def test_three_taps_two_cells_apart_give_sums_computed_by_hand(axis: int) -> None:
    """With taps 24, 240, 2400: y[0] = 24 (1 + 10 · 3 + 100 · 5), and so on."""
    cells = jnp.arange(1.0, 8).reshape((7, 1, 1) if axis == 0 else (1, 7, 1))
    kernel = transform_kernel(jnp.array([24.0, 240, 2400]).reshape(3, 1, 1, 1))
    y = filter_three_taps([cells], kernel, axis, matmul)
    assert y.shape == ((3, 1, 1) if axis == 0 else (1, 3, 1))
    np.testing.assert_allclose(y.ravel(), [24 * 531, 24 * 642, 24 * 753], rtol=1e-6)


@pytest.mark.parametrize("outputs", [1, 8, 9, 19])
@pytest.mark.parametrize("axis", [0, 1])
def test_filtering_sums_over_grids_and_channels(outputs: int, axis: int) -> None:
    """There are two grids of three channels, and full or partial blocks of eight outputs."""
    rng = np.random.default_rng(outputs)
    shape = (outputs + 4, 5, 3) if axis == 0 else (5, outputs + 4, 3)
    grids, kernel = rng.normal(size=(2, *shape)), rng.normal(size=(3, 2, 3, 7))
    expected = sum(
        np.take(grid, range(2 * t, 2 * t + outputs), axis) @ kernel[t, k]
        for k, grid in enumerate(grids)
        for t in range(3)
    )
    y = filter_three_taps(
        [jnp.asarray(grid, jnp.float32) for grid in grids],
        transform_kernel(jnp.asarray(kernel, jnp.float32)),
        axis,
        matmul,
    )
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4)


def test_a_block_of_eight_outputs_takes_six_dots_of_two_rows() -> None:
    """Each dot multiplies two rows: one for the even and one for the odd outputs."""
    rows: list[int] = []

    def counting_dot(a: Array, b: Array) -> Array:
        rows.append(int(np.prod(a.shape[:-1])))
        return matmul(a, b)

    grid, kernel = jnp.ones((1, 12, 3)), transform_kernel(jnp.ones((3, 1, 3, 2)))
    filter_three_taps([grid], kernel, 1, counting_dot)
    assert rows == [2] * 6  # direct sums would multiply 8 rows with each of 3 taps
