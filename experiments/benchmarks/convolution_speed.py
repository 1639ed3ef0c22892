"""Is the package's own convolution with pooling faster on a CPU than XLA's?

Command:   python -m experiments.benchmarks.convolution_speed
Hardware:  2 CPU cores, otherwise idle.
Time:      about 1 minute.
Result:    experiments/results/convolution_speed.json: milliseconds of both layers, forward and
           backward.

`convolve_and_pool` and XLA's convolution with maxima run in turn, forward and backward, on the
shapes of the network's two convolutions at batch 50 and 256. Backward is what training needs: the
gradient of the first layer's kernel, and both gradients of the second layer.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import tyro
from jax import Array, lax

from digits_jax.models.pooled_conv import convolve_and_pool
from experiments.common.provenance import provenance, write_result

LAYERS = {"conv1": (28, 1, 32), "conv2": (14, 32, 64)}  # side, channels in, channels out


def xla_convolve_and_pool(images: Array, kernel: Array) -> Array:
    """Convolves with XLA, then takes the maxima of 2×2 pixels."""
    numbers = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    rows = jnp.maximum(y[:, 0::2], y[:, 1::2])
    return jnp.maximum(rows[:, :, 0::2], rows[:, :, 1::2])


def main(rounds: int = 15, batch_sizes: tuple[int, ...] = (50, 256)) -> None:
    """Times both implementations of each layer.

    Args:
        rounds: Number of timed calls of each.
        batch_sizes: Batch sizes to time.
    """
    table = {
        f"{layer}, batch {batch_size}": _time_layer(layer, batch_size, rounds)
        for batch_size in batch_sizes
        for layer in LAYERS
    }
    question = "How long do the network's convolutions and pools take on CPU, ours and XLA's?"
    result = {"question": question, **provenance(), "rounds": rounds, "milliseconds": table}
    print(write_result("convolution_speed", result))


def _time_layer(layer: str, batch_size: int, rounds: int) -> dict[str, dict[str, float]]:
    side, in_channels, out_channels = LAYERS[layer]
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (batch_size, side, side, in_channels))
    kernel = jax.random.normal(keys[1], (5, 5, in_channels, out_channels))
    gradient = jax.random.normal(keys[2], (batch_size, side // 2, side // 2, out_channels))
    times: dict[tuple[str, str], list[float]] = {}
    programs: dict[tuple[str, str], Callable[[], object]] = {}
    for name, function in (("digits_jax", convolve_and_pool), ("xla", xla_convolve_and_pool)):
        forward, backward = jax.jit(function), jax.jit(_backward(function, layer))
        programs[name, "forward"] = partial(forward, images, kernel)
        programs[name, "backward"] = partial(backward, images, kernel, gradient)
    for round_ in range(rounds + 1):
        for key, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program())
            if round_:  # the first one compiles
                times.setdefault(key, []).append(time.perf_counter() - start)
    row: dict[str, dict[str, float]] = {"digits_jax": {}, "xla": {}}
    for (name, direction), values in times.items():
        row[name][direction] = round(1e3 * statistics.median(values), 2)
    print(layer, batch_size, row)
    return row


def _backward(function: Callable[[Array, Array], Array], layer: str) -> Callable[..., object]:
    def kernel_gradient(images: Array, kernel: Array, gradient: Array) -> object:
        return jax.vjp(lambda kernel: function(images, kernel), kernel)[1](gradient)

    def both_gradients(images: Array, kernel: Array, gradient: Array) -> object:
        return jax.vjp(function, images, kernel)[1](gradient)

    return kernel_gradient if layer == "conv1" else both_gradients


if __name__ == "__main__":
    tyro.cli(main)
