"""The command `digits-jax maps`."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from digits_jax.cli.arguments import First, Weights, resolve_weights
from digits_jax.detect.detector import (
    response_maps,
)
from digits_jax.detect.inputs import read_ink
from digits_jax.detect.visualize import draw_response_maps
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.runtime.files import atomic_write, make_output_folder
from digits_jax.runtime.progress import log


def maps(
    image: First, /, *, output: Path, weights: Weights = "released", normalise: bool = True
) -> None:
    """Write what the network says of every 28×28 window of an image, as arrays and as pictures.

    Args:
        image: An image file of at least 28 pixels a side.
        output: Folder for maps.npz, class_maps.png (Figure 5) and confidence_maps.png (Figure 6).
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        normalise: As for `detect`.
    """
    pixels = read_ink(image, normalised=normalise)[1]
    height, width = pixels.shape
    if min(height, width) < INPUT_SIDE:
        raise ImageError(
            f"{image} is too small: expected at least {INPUT_SIDE} pixels a side, got {width} × "
            f"{height}; enlarge it, or give it a black border"
        )
    make_output_folder(output)
    params = resolve_weights(weights)
    found = response_maps(params, jnp.asarray(pixels[None, ..., None], jnp.float32) / 255)
    with atomic_write(output / "maps.npz") as temporary:
        np.savez(
            temporary,
            probabilities=found.probabilities[0],
            margin=found.margin[0],
            entropy=found.entropy[0],
            label=found.label[0],
        )
    pictures = output / "class_maps.png", output / "confidence_maps.png"
    draw_response_maps(pixels, found, *pictures)
    log("Wrote " + ", ".join(map(str, (output / "maps.npz", *pictures))))
