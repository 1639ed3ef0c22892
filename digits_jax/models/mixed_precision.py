"""Matrix products whose factors may be rounded to bfloat16, and which sum in float32 even so.

Where the processor multiplies bfloat16 natively, such a product takes half of the time.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Dot = Callable[[Array, Array], Array]


def matmul(
    a: Float[Array, "*b m k"], b: Float[Array, "k n"], precision: lax.Precision | None = None
) -> Float[Array, "*b m n"]:
    """The product of two arrays of one dtype, float32 or bfloat16, summed in float32."""
    return jnp.dot(a, b, precision=precision, preferred_element_type=jnp.float32)


def compute_dtype_of(precision: lax.Precision) -> DTypeLike:
    """What a precision rounds factors to: `DEFAULT` to bfloat16, whatever the hardware."""
    return jnp.bfloat16 if precision is lax.Precision.DEFAULT else jnp.float32


def dot_with_precision(precision: lax.Precision) -> Dot:
    """The product of two arrays whose factors are rounded as the precision says.

    So are the gradients in them that come back.
    """
    factors = compute_dtype_of(precision)
    return lambda a, b: matmul(a.astype(factors), b.astype(factors), precision)


def transpose(a: Float[Array, "m k"]) -> Float[Array, "k m"]:
    """The transpose; of bfloat16 moved in memory, since XLA multiplies its columns slowly."""
    if a.dtype != jnp.bfloat16:
        return a.T
    return lax.optimization_barrier(a.T.reshape(-1)).reshape(a.shape[::-1])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def mixed_precision_matmul(
    a: Float[Array, "m k"], b: Float[Array, "k n"], factors: DTypeLike
) -> Float[Array, "m n"]:
    """The product of two float32 matrices, and its gradients, after rounding all their factors.

    Differentiable in reverse mode alone.

    Args:
      a: `[m, k]` float32.
      b: `[k, n]` float32.
      factors: float32, which rounds nothing, or bfloat16.

    Returns:
      `[m, n]` float32.
    """
    return matmul(a.astype(factors), b.astype(factors))


def _forward(
    a: Float[Array, "m k"], b: Float[Array, "k n"], factors: DTypeLike
) -> tuple[Float[Array, "m n"], tuple[Float[Array, "m k"], Float[Array, "k n"]]]:
    rounded = a.astype(factors), b.astype(factors)
    return matmul(*rounded), rounded


def _backward(
    factors: DTypeLike,
    rounded: tuple[Float[Array, "m k"], Float[Array, "k n"]],
    gradient: Float[Array, "m n"],
) -> tuple[Float[Array, "m k"], Float[Array, "k n"]]:
    a, b = rounded
    gradient = gradient.astype(factors)
    return matmul(gradient, b.T), matmul(transpose(a), gradient)


mixed_precision_matmul.defvjp(_forward, _backward)
