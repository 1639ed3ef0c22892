"""The command `digits-jax classify`."""

import sys
from json import dumps

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from digits_jax.cli.arguments import (
    PRETRAINED,
    ImageArgument,
    MoreImagesArgument,
    WeightsArgument,
    resolve_weights,
)
from digits_jax.detect.inputs import read_single_digits
from digits_jax.detect.output_formats import round_float32
from digits_jax.images.pixels import uint8_to_float
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import Params
from digits_jax.models.cnn import classify as forward
from digits_jax.runtime.progress import emit, log, progress

BATCH_SIZE = 500  # digits that are classified at once


def classify(
    image: ImageArgument,
    more: MoreImagesArgument = (),
    /,
    *,
    weights: WeightsArgument = PRETRAINED,
    normalise: bool = True,
    json: bool = False,
) -> None:
    """Classify images that show one digit each, and print one line an image.

    If an image does not have 28×28 pixels, its ink is scaled and centred as in MNIST's images. A
    line gives the image, the digit and its probability in percent. An image that cannot
    be read or is blank gets a message on standard error, and the exit status is then 1.

    Args:
        image: An image file with one digit. An image of 28×28 pixels is taken to be in MNIST's
            format and is not scaled.
        more: More image files.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        normalise: Accept ink of any colour on paper of any colour, in uneven light. With
            --no-normalise the ink has to be bright on a black background.
        json: Print one JSON object an image instead: {"image", "label", "probabilities"}, with the
            probabilities of the digits 0 to 9.
    """
    params = resolve_weights(weights)
    paths = [image, *more]
    digits = []
    inputs = read_single_digits(paths, normalised=normalise)
    for path, digit in progress(inputs, "image", len(paths)):
        if isinstance(digit, ImageError):
            log(f"digits-jax: {digit}")
        else:
            digits.append((path, digit))
    for start in range(0, len(digits), BATCH_SIZE):
        batch = digits[start : start + BATCH_SIZE]
        probabilities = _classify_batch(params, np.stack([digit for _, digit in batch]))
        for (path, _), row in zip(batch, probabilities, strict=True):
            label = int(row.argmax())
            if json:
                rounded = [round_float32(value) for value in row]
                emit(dumps({"image": str(path), "label": label, "probabilities": rounded}))
            else:
                emit(f"{path}: {label} ({100 * row[label]:.1f} %)")
    if len(digits) < len(paths):
        sys.exit(1)


@jax.jit
def _predict(params: Params, images: Float[jax.Array, "n 28 28 1"]) -> Float[jax.Array, "n 10"]:
    return jax.nn.softmax(forward(params, images))


def _classify_batch(
    params: Params, digits: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n 10"]:
    """Returns the probabilities of the ten classes."""
    return np.asarray(_predict(params, uint8_to_float(jnp.asarray(digits[..., None]))))
