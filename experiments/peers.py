"""The paper's network in other frameworks, with our parameters: what we are measured against."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from digits_jax.network import SIDE, Params
from digits_jax.tile import STRIDE

OPTIONS: dict[str, dict[str, Any]] = {  # of ONNX's operators
    "Conv": {"pads": [2, 2, 2, 2]},
    "MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "Gemm": {"transB": 1},
}
AT_ONCE = 512  # windows that a peer classifies together: more of them are no faster


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
        weight, bias = weights_of(params, name)
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


def onnx_network(params: Params) -> bytes:
    """The network as an ONNX model of `images [n, 1, 28, 28]` to `logits [n, 10]`."""
    from onnx import TensorProto, helper, numpy_helper

    arrays, nodes, x = [], [], "images"
    plan = ("Conv conv1", "MaxPool", "Relu", "Conv conv2", "MaxPool", "Flatten", "Gemm dense1",
            "Relu", "Gemm dense2")  # fmt: skip
    for number, step in enumerate(plan):
        kind, *layer = step.split()
        inputs, y = [x], "logits" if number == len(plan) - 1 else f"x{number}"
        if layer:
            weight, bias = weights_of(params, *layer)
            for name, array in (("weight", weight), ("bias", bias)):
                inputs.append(f"{layer[0]}.{name}")
                arrays.append(numpy_helper.from_array(array, inputs[-1]))
        nodes.append(helper.make_node(kind, inputs, [y], **OPTIONS.get(kind, {})))
        x = y
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "digits", [images], [logits], arrays)
    opsets = [helper.make_opsetid("", 17)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return model


def weights_of(params: Params, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """A layer's weight and bias, in the order of those that put channels first."""
    kernel, bias = (np.array(params[layer][name]) for name in ("kernel", "bias"))
    if kernel.ndim == 4:
        weight = kernel.transpose(3, 2, 0, 1)
    elif layer == "dense1":
        weight = kernel.reshape(7, 7, 64, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
    else:
        weight = kernel.T
    return np.ascontiguousarray(weight), bias


def windows(image: np.ndarray) -> Iterator[np.ndarray]:
    """Every 28×28 window of an image at stride 2, row by row, `[n, 1, 28, 28]` at a time."""
    cut = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE))[::STRIDE, ::STRIDE]
    columns = cut.shape[1]
    for first in range(0, cut.shape[0] * columns, AT_ONCE):
        number = np.arange(first, min(first + AT_ONCE, cut.shape[0] * columns))
        yield np.ascontiguousarray(cut[number // columns, number % columns][:, None])
