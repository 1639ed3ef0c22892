"""Winograd's minimal filtering F(4, 3) along one axis of a feature map.

Four neighbouring outputs of a three-tap filter k over six inputs d,

  y_i = Σ_t d_{i+t} k_t,  i = 0 … 3,

take twelve multiplications. As Y = A[(G k) ∘ (B d)] they take six, since A, B and G hold small
constants. Here d and k are matrices over channels, so that each multiplication is a dot.

References:
  Winograd, Arithmetic Complexity of Computations, SIAM, 1980.
  Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.
"""

from collections.abc import Sequence
from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from digits_jax.models.mixed_precision import Dot

A = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
B = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
     (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
G = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
     (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip

TAPS = 3
OUTPUTS = 4  # outputs that share their products
DILATION = 2  # inputs between two taps, so that even and odd inputs are filtered apart
HALO = DILATION * (TAPS - 1)  # inputs from the first tap to the last
BLOCK = DILATION * OUTPUTS  # consecutive outputs along the axis that are computed together

Grid = Float[Array, "h w c"]


def transform_kernel(kernel: Float[Array, "3 k c o"]) -> Float[Array, "6 k*c o"]:
    """Computes G k for three taps, `[3, k, c, o]` for k grids of c channels each."""
    transformed = jnp.einsum(
        "ft,tkco->fkco", jnp.array(G, kernel.dtype), kernel, precision=lax.Precision.HIGHEST
    )
    return transformed.reshape(len(G), -1, kernel.shape[3])


def filter_three_taps(
    grids: Sequence[Grid], transformed_kernel: Float[Array, "6 kc o"], axis: int, dot: Dot
) -> Float[Array, "m n o"]:
    """Filters k grids with three taps that lie two cells apart along an axis, and sums over them.

    y[i] = Σ_k Σ_t grid_k[i + 2t] @ kernel[t, k], i along the axis

    Args:
      grids: k arrays `[h, w, c]` of one shape.
      transformed_kernel: as `transform_kernel` returns it.
      axis: 0 or 1.
      dot: multiplies two matrices.

    Returns:
      `[h − 4, w, o]` for axis 0, `[h, w − 4, o]` for axis 1.
    """
    outputs = grids[0].shape[axis] - HALO
    blocks = -(-outputs // BLOCK)
    before, after = (grids[0].shape[0], 1) if axis == 1 else (1, grids[0].shape[1])

    def split_inputs(grid: Grid) -> list[Array]:
        """Returns d_0 … d_5 of all blocks, even and odd cells side by side."""
        missing = BLOCK * (blocks + 1) - outputs - HALO
        padded = jnp.pad(grid, [(0, missing if along == axis else 0) for along in range(3)])
        cells = padded.reshape(before, blocks + 1, OUTPUTS, DILATION, after, -1)
        return [cells[:, :-1, k] for k in range(OUTPUTS)] + [
            cells[:, 1:, k] for k in range(len(B) - OUTPUTS)
        ]

    inputs = [split_inputs(grid) for grid in grids]
    products = []
    for weights, kernel in zip(B, transformed_kernel, strict=True):
        mixed = jnp.concatenate([_weighted_sum(weights, d) for d in inputs], axis=-1)
        product = dot(lax.optimization_barrier(mixed), kernel)
        products.append(lax.optimization_barrier(product))
    sums = jnp.stack([_weighted_sum(weights, products) for weights in A], axis=2)
    shape = (-1, after) if axis == 0 else (before, -1)
    sums = sums.reshape(*shape, transformed_kernel.shape[2])
    return lax.slice_in_dim(sums, 0, outputs, axis=axis)


def _weighted_sum(weights: Sequence[int], arrays: Sequence[Array]) -> Array:
    """Computes Σ weight · array and leaves out the terms of weight zero."""
    pairs = zip(weights, arrays, strict=True)
    return reduce(jnp.add, [weight * array for weight, array in pairs if weight])
