"""The command `digits-jax export`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from digits_jax.cli.arguments import PRETRAINED, WeightsArgument
from digits_jax.models.cnn import Params
from digits_jax.models.export.onnx import classifier_to_onnx
from digits_jax.models.export.stablehlo import response_maps_to_stablehlo
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file
from digits_jax.runtime.progress import log
from digits_jax.train.initial_weights import resolve_weights

Converter = Callable[[Params], bytes]


def export(
    *,
    output: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    weights: WeightsArgument = PRETRAINED,
) -> None:
    """Write the network and its weights to one file that other programs can run.

    Args:
        output: The file to write. Its suffix selects the format. FILE.jax holds the response maps
            of an image of any size, as StableHLO for jax.export.deserialize. FILE.onnx holds the
            classifier of 28×28 images, for ONNX runtimes, and needs the package onnx.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
    """
    convert = _select_converter(output)
    check_output_file(output)
    file = convert(resolve_weights(weights))
    with atomic_write(output) as temporary:
        temporary.write_bytes(file)
    log(f"Wrote {output} ({len(file) / 1e6:.1f} MB)")


def _select_converter(output: Path) -> Converter:
    """Returns the function that converts parameters to the format of the file.

    Raises:
      ArgumentError: the suffix is unknown, or a package that the format needs is missing.
    """
    suffix = output.suffix.lower()
    if suffix == ".jax":
        return response_maps_to_stablehlo
    if suffix == ".onnx":
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
