"""Exports the classifier as an ONNX model that holds the parameters."""

from typing import Any

import numpy as np

from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params
from digits_jax.version import __version__

OPSET, IR_VERSION = 17, 8  # the versions of 2022, so that old runtimes read the model too
ATTRIBUTES: dict[str, dict[str, Any]] = {  # by ONNX operator
    "Conv": {"pads": [2, 2, 2, 2]},
    "MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "Gemm": {"transB": 1},
}
# The operators in order, with the name of the layer whose parameters they take.
NODES = ("Reshape", "Conv conv1", "MaxPool", "Relu", "Conv conv2", "MaxPool", "Flatten",
        "Gemm dense1", "Relu", "Gemm dense2")  # fmt: skip


def classifier_to_onnx(params: Params) -> bytes:
    """Exports the classifier as an ONNX model for batches of any size.

    The model maps the input `images [n, 28, 28, 1]`, float32 in 0–1, ink bright, to the output
    `logits [n, 10]`, float32.

    Args:
      params: as `init` or `load_checkpoint` return them.

    Returns:
      The content of an `.onnx` file.

    Raises:
      ModuleNotFoundError: onnx is not installed; it comes with the extra `[onnx]`.
    """
    from onnx import TensorProto, helper, numpy_helper  # imported here: it is an extra

    # ONNX puts channels first, which for one channel is a reshape. The 0 keeps n.
    shape = numpy_helper.from_array(np.array([0, 1, INPUT_SIDE, INPUT_SIDE]), "shape")
    arrays, nodes, x = [shape], [], "images"
    for number, node in enumerate(NODES):
        op_type, *layer = node.split()
        inputs, y = [x], "logits" if number == len(NODES) - 1 else f"x{number}"
        if op_type == "Reshape":
            inputs.append("shape")
        if layer:
            weight, bias = channels_first(params, *layer)
            for name, array in (("weight", weight), ("bias", bias)):
                inputs.append(f"{layer[0]}.{name}")
                arrays.append(numpy_helper.from_array(array, inputs[-1]))
        nodes.append(helper.make_node(op_type, inputs, [y], **ATTRIBUTES.get(op_type, {})))
        x = y
    images = helper.make_tensor_value_info(
        "images", TensorProto.FLOAT, ["n", INPUT_SIDE, INPUT_SIDE, 1]
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", NUM_CLASSES])
    graph = helper.make_graph(nodes, "digits", [images], [logits], arrays)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="digits-jax",
        producer_version=__version__,
        doc_string="Handwritten digits: images in 0–1, ink bright, to logits of the ten classes.",
    )
    serialized: bytes = model.SerializeToString()
    return serialized


def channels_first(params: Params, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns a layer's weight and bias as channels-first frameworks (ONNX, PyTorch) hold them.

    Args:
      params: as `init` or `load_checkpoint` return them.
      layer: `conv1`, `conv2`, `dense1` or `dense2`.

    Returns:
      The weight, `[o, c, 5, 5]` of a convolution or `[o, k]` of a dense layer, and the bias `[o]`.
    """
    kernel, bias = (np.array(params[layer][name]) for name in ("kernel", "bias"))
    if kernel.ndim == 4:
        weight = kernel.transpose(3, 2, 0, 1)
    elif layer == "dense1":
        weight = kernel.reshape(7, 7, 64, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
    else:
        weight = kernel.T
    return np.ascontiguousarray(weight), bias
