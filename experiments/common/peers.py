"""What we are measured against: other frameworks' form of our network, and a large product."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.eval import throughput
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.export.onnx import channels_first
from digits_jax.models.fcn.features import STRIDE

AT_ONCE = 512  # windows that a peer classifies together: more of them are no faster
PRODUCT = "a large product"  # the contender that `large_product` is


def large_product() -> Callable[[], Any]:
    """A product of two large matrices of float32, by XLA: what the hardware can do."""
    matrix, multiply = jnp.ones((_side(),) * 2), jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(matrix, matrix))


def share_of_product(rates: Mapping[str, list[float]], contender: str, flop: int) -> float:
    """A contender's operations a second, of which a call has so many, in times of the product's.

    The median over the rounds, in which PRODUCT is to have had its turn, too.
    """
    rounds = zip(rates[contender], rates[PRODUCT], strict=True)
    return round(statistics.median(flop * r / (2 * _side() ** 3 * p) for r, p in rounds), 3)


def _side() -> int:
    return throughput.PRODUCT.get(jax.default_backend(), throughput.PRODUCT_ELSEWHERE)


def torch_network(params: Params, *, channels_last: bool) -> Any:
    """The nine layers as PyTorch's own modules, without the softmax."""
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
    """The same layers over a whole image: the second pool at stride 1, the dense layers dilated.

    Not exact: what a window would see as zeros beyond its edge are the neighbouring pixels here.
    """
    from torch import nn

    dense, last = nn.Conv2d(64, 1024, 7, dilation=2), nn.Conv2d(1024, 10, 1)
    network = torch_network(params, channels_last=False)
    dense.weight.data = network[6].weight.data.reshape(1024, 64, 7, 7)
    dense.bias.data = network[6].bias.data
    last.weight.data = network[8].weight.data[:, :, None, None]
    last.bias.data = network[8].bias.data
    return nn.Sequential(*network[:4], nn.MaxPool2d(2, stride=1), dense, nn.ReLU(), last)


def a_step_in_a_graph(step: Callable[[], None], replays: int) -> Callable[[], None]:
    """What PyTorch does in a step on a GPU, launched at once: so many replays of a CUDA graph."""
    import torch

    torch.backends.cudnn.benchmark = True
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # compiles, and chooses algorithms
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


def windows(image: np.ndarray) -> Iterator[np.ndarray]:
    """Every 28×28 window of an image at stride 2, row by row, `[n, 1, 28, 28]` at a time."""
    cut = np.lib.stride_tricks.sliding_window_view(image, (INPUT_SIDE, INPUT_SIDE))[
        ::STRIDE, ::STRIDE
    ]
    columns = cut.shape[1]
    for first in range(0, cut.shape[0] * columns, AT_ONCE):
        number = np.arange(first, min(first + AT_ONCE, cut.shape[0] * columns))
        yield np.ascontiguousarray(cut[number // columns, number % columns][:, None])
