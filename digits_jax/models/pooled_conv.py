"""A 5×5 convolution followed by 2×2 max pooling (section 3.1), in forms that XLA runs fast.

On GPU and TPU these are XLA's own operations. On CPU, XLA computes a convolution's kernel gradient
at a fifth of the machine's matmul rate, and every large temporary array leaves the cache. There,
the convolution is a matmul over small chunks of the batch. Only the maximum of each cell and its
argmax are stored. The matmul has one of two forms:

- *patches*, for one input channel: the four pixels of a cell read 6×6 input pixels. With these side
  by side, one matmul `[n·h/2·w/2, 36] @ [36, 4·o]` gives all four pixels. Each kernel holds zeros
  at the input pixels that its pixel does not read;
- *columns and rows*, for several channels: the five horizontal taps side by side on the input, the
  five vertical taps side by side on the output, `[n·h·w, 5·c] @ [5·c, 5·o]`, and a sum over the
  rows. It moves a fifth of the memory that all 25 taps side by side would. With X the columns, R
  the kernel as a `[5·c, 5·o]` matrix and G the gradient's rows, the kernel gradient is Xᵀ G, and
  the image gradient is the transpose of the column gathering, applied to G Rᵀ.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int8

from digits_jax.models.mixed_precision import matmul, transpose

TAPS = 5  # kernel rows and columns (section 3.1)
PADDING = TAPS // 2  # zeros on each side
PATCH = TAPS + 1  # rows and columns of input that the four pixels of a cell read
CHUNK = 16  # images a chunk, so that its arrays stay in the caches
CELL = [(a, b) for a in (0, 1) for b in (0, 1)]  # offsets of the pixels of a 2×2 cell

Images = Float[Array, "n h w c"]
Pixels = Float[Array, "n h w o"]
Pooled = Float[Array, "n h//2 w//2 o"]
Kernel = Float[Array, "5 5 c o"]
ArgMax = Int8[Array, "n h//2 w//2 o"]  # index into CELL


def convolve_and_pool(
    images: Images, kernel: Kernel, compute_dtype: DTypeLike = jnp.float32
) -> Pooled:
    """Convolves zero-padded images with 5×5 kernels and takes the maximum of each 2×2 cell.

    y[n, i, j, o] = max_{a, b ∈ {0, 1}} Σ_{k, l, c} x[n, 2i+a+k−2, 2j+b+l−2, c] · w[k, l, c, o]

    Differentiable in reverse mode. On CPU, where the gradient is a custom rule, it is not
    differentiable in forward mode.

    Args:
      images: `[n, h, w, c]` float32, h and w even.
      kernel: `[5, 5, c, o]` float32.
      compute_dtype: the dtype that factors are rounded to on CPU, float32 or bfloat16. On GPU and
        TPU, JAX's matmul precision decides (TF32 or bfloat16 by default).

    Returns:
      `[n, h/2, w/2, o]` float32.
    """
    if jax.default_backend() == "cpu":
        return _convolve_and_pool_on_cpu(images, kernel, compute_dtype)
    # Not on bfloat16 arrays: XLA would round the sums as well, and JAX cannot yet differentiate a
    # convolution whose result has a wider dtype than its factors.
    pixels = lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return reduce(jnp.maximum, _split_cells(pixels))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_and_pool_on_cpu(images: Images, kernel: Kernel, compute_dtype: DTypeLike) -> Pooled:
    return _forward(images, kernel, compute_dtype)[0]


def _forward(
    images: Images, kernel: Kernel, compute_dtype: DTypeLike
) -> tuple[Pooled, tuple[Images, Kernel, ArgMax]]:
    images, kernel = images.astype(compute_dtype), kernel.astype(compute_dtype)
    convolve = _convolve_patches if images.shape[-1] == 1 else _convolve_columns

    def forward(chunk: Images) -> tuple[Pooled, ArgMax]:
        pixels = convolve(chunk, kernel)
        largest = reduce(jnp.maximum, pixels)
        argmax = reduce(
            lambda later, k: jnp.where(pixels[k] == largest, jnp.int8(k), later),
            range(2, -1, -1),
            jnp.full(largest.shape, 3, jnp.int8),
        )
        return largest, argmax

    largest, argmax = lax.map(forward, _split_chunks(images))
    n = images.shape[0]
    return _join_chunks(largest, n), (images, kernel, _join_chunks(argmax, n))


def _backward(
    compute_dtype: DTypeLike, residuals: tuple[Images, Kernel, ArgMax], gradient: Pooled
) -> tuple[Images, Kernel]:
    images, kernel, argmax = residuals
    gradient = gradient.astype(compute_dtype)
    gradients = _gradients_of_patches if images.shape[-1] == 1 else _gradients_of_columns

    def backward(total: Kernel, chunk: tuple[Images, ArgMax, Pooled]) -> tuple[Kernel, Images]:
        images, argmax, gradient = chunk
        by_pixel = [jnp.where(argmax == k, gradient, 0) for k in range(len(CELL))]
        image_gradient, kernel_gradient = gradients(images, kernel, by_pixel)
        return total + kernel_gradient, image_gradient

    chunks = _split_chunks(images), _split_chunks(argmax), _split_chunks(gradient)
    total, image_gradients = lax.scan(backward, jnp.zeros(kernel.shape), chunks)
    return _join_chunks(image_gradients, images.shape[0]), total


_convolve_and_pool_on_cpu.defvjp(_forward, _backward)


def _split_chunks(images: Array) -> Array:
    """Reshapes `[n, …]` to `[chunks, size, …]` with size ≤ CHUNK; pads the last chunk with zeros.

    Images of zeros convolve to zeros and add nothing to a kernel's gradient.
    """
    n = images.shape[0]
    count = max(1, -(-n // CHUNK))
    size = -(-n // count)
    padded = jnp.pad(images, [(0, count * size - n)] + [(0, 0)] * (images.ndim - 1))
    return padded.reshape(count, size, *images.shape[1:])


def _join_chunks(chunks: Array, n: int) -> Array:
    """Undoes `_split_chunks` for n images."""
    return chunks.reshape(-1, *chunks.shape[2:])[:n]


def _split_cells(pixels: Pixels) -> list[Pooled]:
    """Returns the four pixels of each cell, whose maximum is the pooled value.

    XLA fuses the gradient of this form; that of `reduce_window` would be a scatter.
    """
    return [pixels[:, a::2, b::2] for a, b in CELL]


# One input channel.


def _extract_patches(images: Float[Array, "n h w 1"]) -> Float[Array, "m 36"]:
    """Returns the 6×6 input pixels of each of the m = n·h/2·w/2 cells."""
    h, w = images.shape[1:3]
    padded = jnp.pad(images[..., 0], ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    taps = [padded[:, y : y + h : 2, x : x + w : 2] for y in range(PATCH) for x in range(PATCH)]
    # Without the barrier XLA would fuse the gather into the dot and repeat it for each element.
    return lax.optimization_barrier(jnp.stack(taps, axis=-1).reshape(-1, PATCH**2))


def _patch_matrix(kernel: Float[Array, "5 5 1 o"]) -> Float[Array, "36 4*o"]:
    """Returns the kernel at its four positions in a 6×6 patch, side by side."""
    paddings = [((a, 1 - a), (b, 1 - b), (0, 0)) for a, b in CELL]
    kernels = jnp.stack([jnp.pad(kernel[:, :, 0], padding) for padding in paddings], axis=2)
    return kernels.reshape(PATCH**2, -1)


def _convolve_patches(
    images: Float[Array, "n h w 1"], kernel: Float[Array, "5 5 1 o"]
) -> list[Pooled]:
    n, h, w, _ = images.shape
    pixels = lax.optimization_barrier(matmul(_extract_patches(images), _patch_matrix(kernel)))
    return [p.reshape(n, h // 2, w // 2, -1) for p in jnp.split(pixels, len(CELL), axis=1)]


def _gradients_of_patches(
    images: Float[Array, "n h w 1"], kernel: Float[Array, "5 5 1 o"], gradient: list[Pooled]
) -> tuple[Float[Array, "n h w 1"], Float[Array, "5 5 1 o"]]:
    o = kernel.shape[-1]
    by_pixel = jnp.concatenate([g.reshape(-1, o) for g in gradient], axis=1)
    by_pixel = lax.optimization_barrier(by_pixel)
    patches = _extract_patches(images)
    # XLA drops the image gradient where nobody uses it.
    (image_gradient,) = jax.linear_transpose(_extract_patches, images.astype(jnp.float32))(
        matmul(by_pixel, transpose(_patch_matrix(kernel)))
    )
    kernels = matmul(transpose(patches), by_pixel).reshape(PATCH, PATCH, len(CELL), o)
    shifted = [kernels[a : a + TAPS, b : b + TAPS, k] for k, (a, b) in enumerate(CELL)]
    return image_gradient, reduce(jnp.add, shifted)[:, :, None]


# Several input channels.


def _stack_taps(images: Images, axis: int, direction: int) -> Float[Array, "n h w 5*c"]:
    """Stacks the five taps along an axis as channels, in kernel order (1) or reversed (−1)."""
    widths = [(0, 0)] * images.ndim
    widths[axis] = (PADDING, PADDING)
    # Padded once and then sliced: XLA would not vectorise a padding for each tap.
    padded = lax.optimization_barrier(jnp.pad(images, widths))
    size = images.shape[axis]
    taps = [lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(TAPS)[::direction]]
    return lax.optimization_barrier(jnp.concatenate(taps, axis=-1))


def _sum_taps(products: Images, axis: int, direction: int) -> Pixels:
    """Computes y[i] = Σ_k p_k[i ± (k − 2)], where p_k are the five products stacked as channels.

    Terms beyond the ends of the axis are left out.
    """
    size, o = products.shape[axis], products.shape[-1] // TAPS
    middle = [(PADDING, size - 2 * PADDING)] if size > 2 * PADDING else []
    ends = [*range(min(PADDING, size))], [*range(max(PADDING, size - PADDING), size)]

    def sum_strip(start: int, count: int) -> Pixels:
        taps = []
        for k in range(TAPS):
            first = start + direction * (k - PADDING)
            if first >= 0 and first + count <= size:
                tap = products[..., k * o : (k + 1) * o]
                taps.append(lax.slice_in_dim(tap, first, first + count, axis=axis))
        return reduce(jnp.add, taps)

    # Each strip sums its own taps, which equals padding with zeros and is vectorised.
    strips = [*((i, 1) for i in ends[0]), *middle, *((i, 1) for i in ends[1])]
    return jnp.concatenate([sum_strip(*strip) for strip in strips], axis=axis)


def _row_matrix(kernel: Kernel) -> Float[Array, "5*c 5*o"]:
    """Returns the kernel as a matrix from horizontal taps to vertical taps."""
    _, _, c, o = kernel.shape
    return kernel.transpose(1, 2, 0, 3).reshape(TAPS * c, TAPS * o)


def _convolve_columns(images: Images, kernel: Kernel) -> list[Pooled]:
    rows = lax.optimization_barrier(matmul(_stack_taps(images, 2, 1), _row_matrix(kernel)))
    return _split_cells(_sum_taps(rows, 1, 1))


def _gradients_of_columns(
    images: Images, kernel: Kernel, gradient: list[Pooled]
) -> tuple[Images, Kernel]:
    n, h, w, c = images.shape
    o = kernel.shape[-1]
    pixels = jnp.stack(gradient, axis=3).reshape(n, h // 2, w // 2, 2, 2, o)
    pixels = lax.optimization_barrier(pixels.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, o))
    columns, rows = _stack_taps(images, 2, 1), _stack_taps(pixels, 1, -1)
    by_tap = matmul(transpose(columns.reshape(n * h * w, -1)), rows.reshape(n * h * w, -1))
    by_tap = by_tap.reshape(TAPS, c, TAPS, o)
    by_column = lax.optimization_barrier(matmul(rows, transpose(_row_matrix(kernel))))
    return _sum_taps(by_column, 2, -1), by_tap.transpose(2, 0, 1, 3)
