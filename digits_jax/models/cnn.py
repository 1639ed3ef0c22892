"""The paper's nine-layer network (section 3.1) as pure functions of its parameters."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from digits_jax.models.mixed_precision import mixed_precision_matmul
from digits_jax.models.pooled_conv import convolve_and_pool
from digits_jax.runtime.errors import ArgumentError

INPUT_SIDE = 28  # height and width of the input, pixels
NUM_CLASSES = 10

Params = dict[str, dict[str, Float[Array, "..."]]]  # by layer, then "kernel" and "bias"


class CNN(nn.Module):
    """Computes layers 1–8 of section 3.1; layer 9, the softmax, is `jax.nn.softmax` of the logits.

    Attributes:
      compute_dtype: the dtype that dots round their factors to, in layers 1 and 4 (on CPU only)
        and in layer 6.
    """

    compute_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "n 28 28 1"]) -> Float[Array, "n 10"]:
        dtype = self.compute_dtype
        x = PooledConvolution(32, dtype, name="conv1")(images)  # 1 and 2: [n, 14, 14, 32]
        x = nn.relu(x)  # 3
        x = PooledConvolution(64, dtype, name="conv2")(x)  # 4 and 5: [n, 7, 7, 64]
        # The paper has no relu here.
        x = x.reshape(x.shape[0], 7 * 7 * 64)
        x = nn.Dense(1024, dot_general=self._dot_general, name="dense1")(x)  # 6
        x = nn.relu(x)  # 7
        return nn.Dense(NUM_CLASSES, name="dense2")(x)  # 8

    def _dot_general(self, x: Array, w: Array, *_: Any, **__: Any) -> Array:
        return mixed_precision_matmul(x, w, self.compute_dtype)


class PooledConvolution(nn.Module):
    """Convolves with 5×5 kernels (stride 1, SAME padding) and takes the maximum of each 2×2 cell.

    The bias is added after the maximum, which gives the same result as adding it before.

    Attributes:
      features: output channels.
      compute_dtype: as for `convolve_and_pool`.
    """

    features: int
    compute_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 o"]:
        shape = (5, 5, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolve_and_pool(x, kernel, self.compute_dtype) + bias[None, None, None, :]


def init(key: Key[Array, ""]) -> Params:
    """Draws the network's 3,274,634 parameters: LeCun-normal kernels and zero biases.

    Args:
      key: a key of `jax.random.key`.

    Returns:
      `{"conv1", "conv2", "dense1", "dense2"}`, each `{"kernel", "bias"}`, float32.
    """
    variables: Any = CNN().init(key, jnp.zeros((1, INPUT_SIDE, INPUT_SIDE, 1)))
    return variables["params"]


def classify(
    params: Params, images: Float[Array, "n 28 28 1"], *, compute_dtype: DTypeLike = jnp.float32
) -> Float[Array, "n 10"]:
    """Returns the logits f_θ(x) of each image; their `jax.nn.softmax` gives the probabilities.

    Args:
      params: as `init` or `load_checkpoint` return them.
      images: `[n, 28, 28, 1]` float32 in 0–1, ink bright.
      compute_dtype: the dtype that the large layers round the factors of their dots to, float32 or
        bfloat16; all accumulate in float32. On GPU and TPU only the dense layer does so.

    Returns:
      `[n, 10]` float32 logits.

    Raises:
      ArgumentError: the images have another shape or dtype (raised during tracing).
    """
    if images.shape[1:] != (INPUT_SIDE, INPUT_SIDE, 1) or images.dtype != jnp.float32:
        raise ArgumentError(
            f"expected images [n, 28, 28, 1] of float32 in 0–1, got {list(images.shape)} of "
            f"{images.dtype}; resize them and divide uint8 pixels by 255"
        )
    logits: Any = CNN(compute_dtype).apply({"params": params}, images)
    return logits
