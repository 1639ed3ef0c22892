"""The 5×5 convolution of section 3.1, written so that XLA runs it well on every platform.

On GPU and TPU it is `lax.conv_general_dilated` and nothing else. On CPU, XLA computes that
operation's kernel gradient at a fifth of the machine's matrix-product rate, and every large
temporary leaves the cache. There the convolution is a matrix product over small chunks of the
batch, in one of two equal forms:

- *patches*, for one input channel: all 25 taps of a pixel side by side,
  `[n·h·w, 25] @ [25, o]`;
- *columns and rows*, for many: the five horizontal taps side by side on the input, the five
  vertical taps side by side on the output, `[n·h·w, 5·c] @ [5·c, 5·o]`, and a sum over the rows.
  It moves a fifth of the memory that the patches would. With X the columns, R the kernel as a
  `[5·c, 5·o]` matrix and G the gradient's rows, the gradients are Xᵀ G and the columns' transpose
  of G Rᵀ.
"""

from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

TAPS = 5  # kernel rows and columns (section 3.1)
HALO = TAPS // 2
CHUNK = 64  # images whose gathered arrays still fit a last-level cache of 32 MiB

Images = Float[Array, "n h w c"]
Features = Float[Array, "n h w o"]
Kernel = Float[Array, "5 5 c o"]


def convolve(images: Images, kernel: Kernel) -> Features:
    """Slides a 5×5 kernel over zero-padded images, keeping their size.

    y[n, i, j, o] = Σ_{k, l, c} x[n, i + k − 2, j + l − 2, c] · w[k, l, c, o]

    Differentiable in reverse mode; on CPU, where its gradient is written out, not in forward mode.

    Args:
      images: `[n, h, w, c]` float32.
      kernel: `[5, 5, c, o]` float32.

    Returns:
      `[n, h, w, o]` float32.
    """
    if jax.default_backend() == "cpu":
        return _convolve_cpu(images, kernel)
    return lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@jax.custom_vjp
def _convolve_cpu(images: Images, kernel: Kernel) -> Features:
    form = _convolve_patches if images.shape[-1] == 1 else _convolve_columns
    features = lax.map(lambda chunk: form(chunk, kernel), _chunks(images))
    return _unchunk(features, images.shape[0])


def _convolve_forward(images: Images, kernel: Kernel) -> tuple[Features, tuple[Images, Kernel]]:
    return _convolve_cpu(images, kernel), (images, kernel)


def _convolve_backward(saved: tuple[Images, Kernel], gradient: Features) -> tuple[Images, Kernel]:
    images, kernel = saved
    form = _patches_gradients if images.shape[-1] == 1 else _columns_gradients

    def add_chunk(total: Kernel, chunk: tuple[Images, Features]) -> tuple[Kernel, Images]:
        image_gradient, kernel_gradient = form(chunk[0], kernel, chunk[1])
        return total + kernel_gradient, image_gradient

    chunks = _chunks(images), _chunks(gradient)
    total, image_gradients = lax.scan(add_chunk, jnp.zeros_like(kernel), chunks)
    return _unchunk(image_gradients, images.shape[0]), total


_convolve_cpu.defvjp(_convolve_forward, _convolve_backward)


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


def _shifted(images: Images, axis: int, by: int) -> Images:
    """Moves the image along an axis, filling with zeros: y[i] = x[i + by]."""
    widths = [(0, 0)] * images.ndim
    widths[axis] = (max(-by, 0), max(by, 0))
    start = max(by, 0)
    return lax.slice_in_dim(jnp.pad(images, widths), start, start + images.shape[axis], axis=axis)


def _side_by_side(images: Images, axis: int, direction: int) -> Float[Array, "n h w 5*c"]:
    taps = [_shifted(images, axis, direction * (k - HALO)) for k in range(TAPS)]
    # Fused into a product, the gather would be done again for each of the product's elements.
    return lax.optimization_barrier(jnp.concatenate(taps, axis=-1))


def _row_matrix(kernel: Kernel) -> Float[Array, "5*c 5*o"]:
    _, _, c, o = kernel.shape
    return kernel.transpose(1, 2, 0, 3).reshape(TAPS * c, TAPS * o)


def _convolve_columns(images: Images, kernel: Kernel) -> Features:
    o = kernel.shape[-1]
    rows = lax.optimization_barrier(_side_by_side(images, 2, 1) @ _row_matrix(kernel))
    taps = [_shifted(rows[..., k * o : (k + 1) * o], 1, k - HALO) for k in range(TAPS)]
    return reduce(jnp.add, taps)


def _columns_gradients(images: Images, kernel: Kernel, gradient: Features) -> tuple[Images, Kernel]:
    c, o = images.shape[-1], gradient.shape[-1]
    columns, rows = _side_by_side(images, 2, 1), _side_by_side(gradient, 1, -1)
    pixels = (0, 1, 2)
    by_tap = jnp.tensordot(columns, rows, axes=(pixels, pixels)).reshape(TAPS, c, TAPS, o)
    back = lax.optimization_barrier(rows @ _row_matrix(kernel).T)
    taps = [_shifted(back[..., k * c : (k + 1) * c], 2, HALO - k) for k in range(TAPS)]
    return reduce(jnp.add, taps), by_tap.transpose(2, 0, 1, 3)


def _patches(images: Images) -> Float[Array, "n h w 25*c"]:
    return _side_by_side(_side_by_side(images, 2, 1), 1, 1)


def _convolve_patches(images: Images, kernel: Kernel) -> Features:
    return _patches(images) @ kernel.reshape(-1, kernel.shape[-1])


def _patches_gradients(images: Images, kernel: Kernel, gradient: Features) -> tuple[Images, Kernel]:
    pixels = (0, 1, 2)
    by_tap = jnp.tensordot(_patches(images), gradient, axes=(pixels, pixels))
    image_gradient, _ = _columns_gradients(images, kernel, gradient)  # dropped if not asked for
    return image_gradient, by_tap.reshape(kernel.shape)
