"""The programs that experiments compare with: PyTorch's network and a large matrix product."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.eval.tasks import matmul_side
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.export.onnx import channels_first
from digits_jax.models.fcn.features import STRIDE

PEER_BATCH = 512  # windows that a peer classifies together; larger batches are no faster
MATMUL = "large matmul"  # name of the contender `large_matmul`


def large_matmul() -> Callable[[], Any]:
    """Returns a call that multiplies two large matrices with XLA, as a measure of the hardware."""
    matrix, multiply = jnp.ones((matmul_side(jax.default_backend()),) * 2), jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(matrix, matrix))


def share_of_matmul(rates: Mapping[str, list[float]], contender: str, flop: int) -> float:
    """Divides a contender's floating-point operations a second by `large_matmul`'s.

    Args:
      rates: calls a second in each round, `large_matmul`'s among them under the name `MATMUL`.
      contender: the contender's name.
      flop: the floating-point operations of one of its calls.

    Returns:
      The median over the rounds.
    """
    matmul_flop = 2 * matmul_side(jax.default_backend()) ** 3
    rounds = zip(rates[contender], rates[MATMUL], strict=True)
    return round(statistics.median(flop * r / (matmul_flop * m) for r, m in rounds), 3)


def torch_network(params: Params, *, channels_last: bool) -> Any:
    """Builds the network from PyTorch's own modules, up to the logits."""
    import torch
    from torch import nn

    network = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 64, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    )
    for index, name in ((0, "conv1"), (3, "conv2"), (6, "dense1"), (8, "dense2")):
        weight, bias = channels_first(params, name)
        network[index].weight.data = torch.from_numpy(weight)
        network[index].bias.data = torch.from_numpy(bias)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return network.to(memory_format=layout)


def torch_a_trous(params: Params) -> Any:
    """Builds the network over a whole image, with its second pool at stride 1 and dilated layers.

    It is not exact. Beyond a window's edge it sees the neighbouring pixels instead of zeros.
    """
    from torch import nn

    dense1, dense2 = nn.Conv2d(64, 1024, 7, dilation=2), nn.Conv2d(1024, 10, 1)
    network = torch_network(params, channels_last=False)
    dense1.weight.data = network[6].weight.data.reshape(1024, 64, 7, 7)
    dense1.bias.data = network[6].bias.data
    dense2.weight.data = network[8].weight.data[:, :, None, None]
    dense2.bias.data = network[8].bias.data
    return nn.Sequential(*network[:4], nn.MaxPool2d(2, stride=1), dense1, nn.ReLU(), dense2)


def cuda_graph_call(step: Callable[[], None], replays: int) -> Callable[[], None]:
    """Captures a PyTorch step in a CUDA graph; returns a call that replays it a number of times."""
    import torch

    torch.backends.cudnn.benchmark = True
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # warm-up: compiles the step and chooses algorithms
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def call() -> None:
        for _ in range(replays):
            graph.replay()
        torch.cuda.synchronize()

    return call


def window_batches(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yields all 28×28 windows of an image at stride 2, row by row, in batches `[n, 1, 28, 28]`."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (INPUT_SIDE, INPUT_SIDE))[
        ::STRIDE, ::STRIDE
    ]
    columns = windows.shape[1]
    for first in range(0, windows.shape[0] * columns, PEER_BATCH):
        number = np.arange(first, min(first + PEER_BATCH, windows.shape[0] * columns))
        yield np.ascontiguousarray(windows[number // columns, number % columns][:, None])
