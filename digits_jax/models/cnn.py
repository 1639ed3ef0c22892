"""The paper's nine-layer network (section 3.1) as pure functions of its parameters."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from digits_jax.models.mixed_precision import mixed_precision_matmul
from digits_jax.models.pooled_conv import convolve_and_pool
from digits_jax.runtime.errors import ArgumentError

INPUT_SIDE = 28  # pixels a side of a digit's image
NUM_CLASSES = 10

Params = dict[str, dict[str, Float[Array, "..."]]]  # by layer, then "kernel" and "bias"


class CNN(nn.Module):
    """Layers 1–8 of section 3.1; layer 9, the softmax, is `jax.nn.softmax` of the logits."""

    factors: DTypeLike = jnp.float32  # of the products of layers 1, 4 (both on CPU alone) and 6

    @nn.compact
    def __call__(self, images: Float[Array, "n 28 28 1"]) -> Float[Array, "n 10"]:
        x = PooledConvolution(32, self.factors, name="conv1")(images)  # 1 and 2: [n, 14, 14, 32]
        x = nn.relu(x)  # 3
        # 4 and 5: [n, 7, 7, 64]; no relu, as in the paper
        x = PooledConvolution(64, self.factors, name="conv2")(x)
        x = x.reshape(x.shape[0], 7 * 7 * 64)
        x = nn.Dense(1024, dot_general=self._dot_general, name="dense1")(x)  # 6
        x = nn.relu(x)  # 7
        return nn.Dense(NUM_CLASSES, name="dense2")(x)  # 8

    def _dot_general(self, x: Array, w: Array, *_: Any, **__: Any) -> Array:
        return mixed_precision_matmul(x, w, self.factors)


class PooledConvolution(nn.Module):
    """A 5×5 convolution of stride 1 that keeps the image's size, and the largest of each 2×2 cell.

    The bias, one a channel, is added to the largest, which is the same as to all four.
    """

    features: int
    factors: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 o"]:
        shape = (5, 5, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolve_and_pool(x, kernel, self.factors) + bias[None, None, None, :]


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
    params: Params, images: Float[Array, "n 28 28 1"], *, factors: DTypeLike = jnp.float32
) -> Float[Array, "n 10"]:
    """The logits f_θ(x) of each image; `jax.nn.softmax` of them gives the probabilities.

    Args:
      params: as `init` or `load_checkpoint` return them.
      images: `[n, 28, 28, 1]` float32 in 0–1, ink bright.
      factors: what the factors of the large layers' products are rounded to, float32 or bfloat16;
        on GPU and TPU of the dense layer's alone.

    Returns:
      `[n, 10]` float32 logits.

    Raises:
      ValueError: when traced with images of another shape or dtype.
    """
    if images.shape[1:] != (INPUT_SIDE, INPUT_SIDE, 1) or images.dtype != jnp.float32:
        raise ArgumentError(
            f"classify takes images [n, 28, 28, 1] of float32 in 0–1; "
            f"got {list(images.shape)} of {images.dtype}"
        )
    logits: Any = CNN(factors).apply({"params": params}, images)
    return logits
