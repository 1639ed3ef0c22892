"""Muon beside Optax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from digits_jax.train.muon import orthogonalise, scale_by_fast_muon

SHAPES = {"conv2": (5, 5, 32, 64), "dense1": (7, 64, 1024)}


def _normal(seed: int) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(seed), len(SHAPES))
    return {name: jax.random.normal(k, SHAPES[name]) for k, name in zip(keys, SHAPES, strict=True)}


@pytest.mark.usefixtures("optax_promotion")
def test_an_update_is_optax_s() -> None:
    """At a late step, where Optax's correction of the first steps' momentum is 1."""
    dimensions = {
        "conv2": MuonDimensionNumbers((0, 1, 2), 3),
        "dense1": MuonDimensionNumbers(1, 2),
    }
    slow = scale_by_muon(weight_dimension_numbers=dimensions)
    state = slow.init(_normal(0))._replace(count=jnp.int32(1000), mu=_normal(1))
    grads = _normal(2)
    expected, expected_state = slow.update(grads, state)
    updates, updated_state = scale_by_fast_muon().update(grads, state)
    assert jax.tree.map(jnp.shape, updated_state) == jax.tree.map(jnp.shape, expected_state)
    for name in SHAPES:
        assert 0.02 < np.std(expected[name]) < 0.2
        np.testing.assert_allclose(updates[name], expected[name], atol=1e-5)
        np.testing.assert_allclose(updated_state.mu[name], expected_state.mu[name], atol=1e-6)
    assert updated_state.count == expected_state.count == 1001


def test_singular_vectors_stay_and_singular_values_come_near_1() -> None:
    """Even where they are 1,000 times apart, in wide matrices and in tall ones."""
    values = np.array([1.0, 0.5, 0.1, 0.03, 0.01], np.float32)
    left, _, right = np.linalg.svd(
        np.random.default_rng(0).normal(size=(5, 9)), full_matrices=False
    )
    wide = jnp.asarray((left * values @ right)[None], jnp.float32)
    for matrices in (wide, wide.swapaxes(1, 2)):
        result = orthogonalise(matrices)
        assert result.shape == matrices.shape
        square = np.asarray(result[0] if result.shape[1] == 5 else result[0].T)
        along = left.T @ square @ right.T
        assert (np.diag(along) > 0.6).all()
        assert (np.diag(along) < 1.25).all()
        np.testing.assert_allclose(along - np.diag(np.diag(along)), 0, atol=1e-4)
