"""The command `digits-jax classify`."""

import sys
from json import dumps

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from digits_jax.cli.arguments import First, More, Weights, resolve_weights
from digits_jax.detect.inputs import read_single_digits
from digits_jax.detect.output_formats import (
    short,
)
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import Params
from digits_jax.models.cnn import classify as logits_of
from digits_jax.runtime.progress import emit, log, progress

DIGITS_AT_ONCE = 500


def classify(
    image: First,
    more: More = (),
    /,
    *,
    weights: Weights = "released",
    normalise: bool = True,
    json: bool = False,
) -> None:
    """Tell which digit each image shows, as large and as centred as MNIST's whatever its size.

    Args:
        image: An image file with one digit; 28×28 pixels are taken to be framed as MNIST's are.
        more: Any more of them.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        normalise: As for `detect`.
        json: Print a JSON object for each, with all ten probabilities.
    """
    params = resolve_weights(weights)
    paths, digits = [image, *more], []
    reading = read_single_digits(paths, normalised=normalise)
    for path, read in progress(reading, "image", len(paths)):
        if isinstance(read, ImageError):
            log(f"digits-jax: {read}")
        else:
            digits.append((path, read))
    for start in range(0, len(digits), DIGITS_AT_ONCE):
        batch = digits[start : start + DIGITS_AT_ONCE]
        probabilities = _probabilities(params, np.stack([digit for _, digit in batch]))
        for (path, _), of_digit in zip(batch, probabilities, strict=True):
            label = int(of_digit.argmax())
            if json:
                listed = [short(p) for p in of_digit]
                emit(dumps({"image": str(path), "label": label, "probabilities": listed}))
            else:
                emit(f"{path}: {label} ({100 * of_digit[label]:.1f} %)")
    if len(digits) < len(paths):
        sys.exit(1)


@jax.jit
def _softmax(params: Params, images: Float[jax.Array, "n 28 28 1"]) -> Float[jax.Array, "n 10"]:
    return jax.nn.softmax(logits_of(params, images))


def _probabilities(
    params: Params, digits: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n 10"]:
    return np.asarray(_softmax(params, jnp.asarray(digits[..., None], jnp.float32) / 255))
