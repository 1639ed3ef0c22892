"""A 5×5 convolution and the 2×2 pooling after it (section 3.1), written so that XLA runs them well.

On GPU and TPU they are XLA's own operations. On CPU, XLA computes a convolution's kernel gradient
at a fifth of the machine's matrix-product rate, and every large temporary leaves the cache. There
they are matrix products over small chunks of the batch, and of a chunk no more is kept than its
largest pixels and which of the four in a cell they were. The products are one of two:

- *reach*, for one input channel: the four pixels of a cell read 6×6 pixels between them; with these
  side by side, all four are one product, `[n·h/2·w/2, 36] @ [36, 4·o]`, whose kernels have zeros
  where their pixel does not reach;
- *columns and rows*, for many: the five horizontal taps side by side on the input, the five
  vertical taps side by side on the output, `[n·h·w, 5·c] @ [5·c, 5·o]`, and a sum over the rows.
  It moves a fifth of the memory that all 25 taps side by side would. With X the columns, R the
  kernel as a `[5·c, 5·o]` matrix and G the gradient's rows, the gradients are Xᵀ G and the columns'
  transpose of G Rᵀ.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int8

from digits_jax.models.mixed_precision import matmul, transpose

TAPS = 5  # kernel rows and columns (section 3.1)
HALO = TAPS // 2
REACH = TAPS + 1  # rows and columns of pixels that a pooled cell's four read
CHUNK = 16  # images whose gathered arrays stay in the caches
CELL = [(a, b) for a in (0, 1) for b in (0, 1)]  # a pooled cell's pixels

Images = Float[Array, "n h w c"]
Pixels = Float[Array, "n h w o"]
Pooled = Float[Array, "n h//2 w//2 o"]
Kernel = Float[Array, "5 5 c o"]


def convolve_and_pool(images: Images, kernel: Kernel, factors: DTypeLike = jnp.float32) -> Pooled:
    """Slides a 5×5 kernel over zero-padded images, and keeps the largest of each 2×2 cell.

    y[n, i, j, o] = max_{a, b ∈ {0, 1}} Σ_{k, l, c} x[n, 2i+a+k−2, 2j+b+l−2, c] · w[k, l, c, o]

    Differentiable in reverse mode; on CPU, where its gradient is written out, not in forward mode.

    Args:
      images: `[n, h, w, c]` float32, h and w even.
      kernel: `[5, 5, c, o]` float32.
      factors: what the products' factors are rounded to on CPU, float32 or bfloat16; elsewhere
        they are as JAX's matmul precision says, TF32 or bfloat16 by default.

    Returns:
      `[n, h/2, w/2, o]` float32.
    """
    if jax.default_backend() == "cpu":
        return _pooled(images, kernel, factors)
    # Not of bfloat16 arrays, whose convolution rounds its sums, too: JAX cannot yet differentiate
    # one whose result is longer than its factors.
    pixels = lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return reduce(jnp.maximum, _cells(pixels))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _pooled(images: Images, kernel: Kernel, factors: DTypeLike) -> Pooled:
    return _pooled_forward(images, kernel, factors)[0]


def _pooled_forward(
    images: Images, kernel: Kernel, factors: DTypeLike
) -> tuple[Pooled, tuple[Images, Kernel, Int8[Array, "n h//2 w//2 o"]]]:
    images, kernel = images.astype(factors), kernel.astype(factors)
    pixels = _pixels_of_one_channel if images.shape[-1] == 1 else _pixels_of_many

    def forward(chunk: Images) -> tuple[Pooled, Int8[Array, "n h//2 w//2 o"]]:
        four = pixels(chunk, kernel)
        largest = reduce(jnp.maximum, four)
        which = reduce(
            lambda later, k: jnp.where(four[k] == largest, jnp.int8(k), later),
            range(2, -1, -1),
            jnp.full(largest.shape, 3, jnp.int8),
        )
        return largest, which

    largest, which = lax.map(forward, _chunks(images))
    n = images.shape[0]
    return _unchunk(largest, n), (images, kernel, _unchunk(which, n))


def _pooled_backward(
    factors: DTypeLike,
    saved: tuple[Images, Kernel, Int8[Array, "n h//2 w//2 o"]],
    gradient: Pooled,
) -> tuple[Images, Kernel]:
    images, kernel, which = saved
    gradient = gradient.astype(factors)
    gradients = _gradients_of_one_channel if images.shape[-1] == 1 else _gradients_of_many

    def backward(
        total: Kernel, chunk: tuple[Images, Int8[Array, "n h//2 w//2 o"], Pooled]
    ) -> tuple[Kernel, Images]:
        images, which, gradient = chunk
        four = [jnp.where(which == k, gradient, 0) for k in range(len(CELL))]
        image_gradient, kernel_gradient = gradients(images, kernel, four)
        return total + kernel_gradient, image_gradient

    chunks = _chunks(images), _chunks(which), _chunks(gradient)
    total, image_gradients = lax.scan(backward, jnp.zeros(kernel.shape), chunks)
    return _unchunk(image_gradients, images.shape[0]), total


_pooled.defvjp(_pooled_forward, _pooled_backward)


def _chunks(images: Array) -> Array:
    """`[n, …]` to `[count, size, …]` with size up to CHUNK, filled up with images of zeros.

    Zeros convolve to zeros and have no part in a kernel's gradient.
    """
    n = images.shape[0]
    count = max(1, -(-n // CHUNK))
    size = -(-n // count)
    filled = jnp.pad(images, [(0, count * size - n)] + [(0, 0)] * (images.ndim - 1))
    return filled.reshape(count, size, *images.shape[1:])


def _unchunk(chunks: Array, n: int) -> Array:
    return chunks.reshape(-1, *chunks.shape[2:])[:n]


def _cells(pixels: Pixels) -> list[Pooled]:
    """The four pixels of each cell.

    Their maximum is the pool; its gradient XLA fuses, where that of `reduce_window` is a scatter.
    """
    return [pixels[:, a::2, b::2] for a, b in CELL]


# One channel.


def _reach(images: Float[Array, "n h w 1"]) -> Float[Array, "m 36"]:
    h, w = images.shape[1:3]
    framed = jnp.pad(images[..., 0], ((0, 0), (HALO, HALO), (HALO, HALO)))
    taps = [framed[:, y : y + h : 2, x : x + w : 2] for y in range(REACH) for x in range(REACH)]
    # Fused into a product, the gather would be done again for each of the product's elements.
    return lax.optimization_barrier(jnp.stack(taps, axis=-1).reshape(-1, REACH**2))


def _reach_matrix(kernel: Float[Array, "5 5 1 o"]) -> Float[Array, "36 4*o"]:
    places = [((a, 1 - a), (b, 1 - b), (0, 0)) for a, b in CELL]
    kernels = jnp.stack([jnp.pad(kernel[:, :, 0], place) for place in places], axis=2)
    return kernels.reshape(REACH**2, -1)


def _pixels_of_one_channel(
    images: Float[Array, "n h w 1"], kernel: Float[Array, "5 5 1 o"]
) -> list[Pooled]:
    n, h, w, _ = images.shape
    pixels = lax.optimization_barrier(matmul(_reach(images), _reach_matrix(kernel)))
    return [p.reshape(n, h // 2, w // 2, -1) for p in jnp.split(pixels, len(CELL), axis=1)]


def _gradients_of_one_channel(
    images: Float[Array, "n h w 1"], kernel: Float[Array, "5 5 1 o"], gradient: list[Pooled]
) -> tuple[Float[Array, "n h w 1"], Float[Array, "5 5 1 o"]]:
    o = kernel.shape[-1]
    four = jnp.concatenate([g.reshape(-1, o) for g in gradient], axis=1)
    four = lax.optimization_barrier(four)
    reach = _reach(images)
    # Dropped if not asked for.
    (image_gradient,) = jax.linear_transpose(_reach, images.astype(jnp.float32))(
        matmul(four, transpose(_reach_matrix(kernel)))
    )
    kernels = matmul(transpose(reach), four).reshape(REACH, REACH, len(CELL), o)
    placed = [kernels[a : a + TAPS, b : b + TAPS, k] for k, (a, b) in enumerate(CELL)]
    return image_gradient, reduce(jnp.add, placed)[:, :, None]


# Many channels.


def _side_by_side(images: Images, axis: int, direction: int) -> Float[Array, "n h w 5*c"]:
    """The five taps along an axis, in the order of the kernel's or against it."""
    widths = [(0, 0)] * images.ndim
    widths[axis] = (HALO, HALO)
    # Framed once and then sliced; a padding for each tap would not be vectorised.
    framed = lax.optimization_barrier(jnp.pad(images, widths))
    size = images.shape[axis]
    taps = [lax.slice_in_dim(framed, k, k + size, axis=axis) for k in range(TAPS)[::direction]]
    return lax.optimization_barrier(jnp.concatenate(taps, axis=-1))


def _sum_of_taps(products: Images, axis: int, direction: int) -> Pixels:
    """y[i] = Σ_k p_k[i ± (k − 2)], of the five products side by side, where there is such a p."""
    size, o = products.shape[axis], products.shape[-1] // TAPS
    middle = [(HALO, size - 2 * HALO)] if size > 2 * HALO else []
    ends = [*range(min(HALO, size))], [*range(max(HALO, size - HALO), size)]

    def strip(start: int, count: int) -> Pixels:
        taps = []
        for k in range(TAPS):
            first = start + direction * (k - HALO)
            if first >= 0 and first + count <= size:
                tap = products[..., k * o : (k + 1) * o]
                taps.append(lax.slice_in_dim(tap, first, first + count, axis=axis))
        return reduce(jnp.add, taps)

    # Each strip has taps of its own, which is as good as a padding and is vectorised.
    strips = [*((i, 1) for i in ends[0]), *middle, *((i, 1) for i in ends[1])]
    return jnp.concatenate([strip(*place) for place in strips], axis=axis)


def _row_matrix(kernel: Kernel) -> Float[Array, "5*c 5*o"]:
    _, _, c, o = kernel.shape
    return kernel.transpose(1, 2, 0, 3).reshape(TAPS * c, TAPS * o)


def _pixels_of_many(images: Images, kernel: Kernel) -> list[Pooled]:
    rows = lax.optimization_barrier(matmul(_side_by_side(images, 2, 1), _row_matrix(kernel)))
    return _cells(_sum_of_taps(rows, 1, 1))


def _gradients_of_many(
    images: Images, kernel: Kernel, gradient: list[Pooled]
) -> tuple[Images, Kernel]:
    n, h, w, c = images.shape
    o = kernel.shape[-1]
    pixels = jnp.stack(gradient, axis=3).reshape(n, h // 2, w // 2, 2, 2, o)
    pixels = lax.optimization_barrier(pixels.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, o))
    columns, rows = _side_by_side(images, 2, 1), _side_by_side(pixels, 1, -1)
    by_tap = matmul(transpose(columns.reshape(n * h * w, -1)), rows.reshape(n * h * w, -1))
    by_tap = by_tap.reshape(TAPS, c, TAPS, o)
    back = lax.optimization_barrier(matmul(rows, transpose(_row_matrix(kernel))))
    return _sum_of_taps(back, 2, -1), by_tap.transpose(2, 0, 1, 3)
