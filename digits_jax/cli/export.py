"""The command `digits-jax export`."""

from collections.abc import Callable
from pathlib import Path

from digits_jax.cli.arguments import Weights, resolve_weights
from digits_jax.models.cnn import Params
from digits_jax.models.export.onnx import classifier_to_onnx
from digits_jax.models.export.stablehlo import response_maps_to_stablehlo
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file
from digits_jax.runtime.progress import log

Writer = Callable[[Params], bytes]


def export(*, output: Path, weights: Weights = "released") -> None:
    """Write the network with its weights as one file for other tools.

    Args:
        output: The file. Its name's ending says what it becomes: .jax the response maps of images
            of any size, for jax.export.deserialize in JAX alone; .onnx the classifier of
            28×28 images, for ONNX runtimes.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
    """
    write = _writer(output)
    check_output_file(output)
    file = write(resolve_weights(weights))
    with atomic_write(output) as temporary:
        temporary.write_bytes(file)
    log(f"Wrote {output} ({len(file) / 1e6:.1f} MB)")


def _writer(output: Path) -> Writer:
    """What writes a file of that name; refuses before any work what could not be written."""
    ending = output.suffix.lower()
    if ending == ".jax":
        return response_maps_to_stablehlo
    if ending == ".onnx":
        try:
            import onnx  # noqa: F401
        except ImportError as error:
            raise ArgumentError(
                f"{output} needs the package onnx, which cannot be imported ({error}): install it "
                "with `pip install onnx`, or this package as digits-jax[onnx]"
            ) from error
        return classifier_to_onnx
    raise ArgumentError(
        f"expected --output to end in .jax (the response maps, for JAX) or .onnx (the classifier, "
        f"for ONNX runtimes); got {output}"
    )
