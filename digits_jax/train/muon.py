"""Muon: momentum whose matrices are made orthogonal (Jordan, 2024)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float
from optax.contrib import MuonState, scale_by_muon

MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 5


def scale_by_fast_muon() -> optax.GradientTransformation:
    """Returns what `optax.contrib.scale_by_muon` does, in a quarter of its time for wide matrices.

    A leaf `[n, inputs, outputs]` is n matrices, and the kernel of a convolution,
    `[height, width, inputs, outputs]`, is one. The momentum is m := β·m + (1 − β)·g, and the update
    is the orthogonal matrix near β·m + (1 − β)·g, Nesterov's look-ahead. The state is Optax's. Its
    correction of the first steps' momentum is left out: it hardly changes the direction, and the
    size does not matter.
    """

    def update(grads: Any, state: MuonState, params: Any = None) -> tuple[Any, MuonState]:
        del params

        def average(mean: Array, grad: Array) -> Array:
            return MOMENTUM * mean + (1 - MOMENTUM) * grad

        def make_update(momentum: Array, grad: Array) -> Array:
            ahead = average(momentum, grad)
            matrices = ahead.reshape(1, -1, ahead.shape[-1]) if ahead.ndim == 4 else ahead
            return orthogonalise(matrices).reshape(grad.shape)

        momentum = jax.tree.map(average, state.mu, grads)
        updates = jax.tree.map(make_update, momentum, grads)
        return updates, state._replace(count=state.count + 1, mu=momentum)

    return optax.GradientTransformation(scale_by_muon().init, update)


def orthogonalise(matrices: Float[Array, "n r c"]) -> Float[Array, "n r c"]:
    """Returns an orthogonal matrix near each matrix, nearly: singular values of about 0.7 to 1.2.

    Each of five steps of Newton and Schulz is X := B·X, where B = a·I + b·A + c·A² and A = X·Xᵀ.
    All B are polynomials of the first A, so that A := B·A·B needs no X. That leaves two products
    with the long side of X instead of ten: the first A, and the product of all B with X.

    Args:
      matrices: `[n, rows, columns]` float32.

    Returns:
      `[n, rows, columns]` float32.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalise(matrices.swapaxes(1, 2)).swapaxes(1, 2)
    # The factors that accelerators round to by default would spoil A, which X no longer corrects.
    with jax.default_matmul_precision("highest"):
        return _orthogonalise_wide(matrices)


def _orthogonalise_wide(matrices: Float[Array, "n r c"]) -> Float[Array, "n r c"]:
    a, b, c = 3.4445, -4.7750, 2.0315  # of Jordan (2024): steepest at 0
    x = matrices / (jnp.linalg.norm(matrices, axis=(1, 2), keepdims=True) + 1e-8)
    gram = x @ x.swapaxes(1, 2)
    identity = jnp.eye(gram.shape[1])[None]
    product = identity
    for _ in range(NEWTON_SCHULZ_STEPS):
        step = a * identity + b * gram + c * (gram @ gram)
        product = step @ product
        gram = step @ gram @ step
    return product @ x
