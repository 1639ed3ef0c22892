"""The command `digits-jax classify`."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float, Float32, UInt8

from digits_jax.cli.arguments import (
    PRETRAINED,
    ImageArgument,
    MaxFileMibArgument,
    MaxMegapixelsArgument,
    MoreImagesArgument,
    WeightsArgument,
    load_model,
    log_that_first_page_is_read,
    set_read_limits,
)
from digits_jax.detect.calibration import single_digit_scores, to_search_score
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.crop_classifier import Readings
from digits_jax.detect.inputs import read_single_digits
from digits_jax.detect.output_formats import round_float32
from digits_jax.images.pixels import uint8_to_float
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import Params
from digits_jax.models.cnn import classify as forward
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.progress import emit, log, progress

BATCH_SIZE = 500  # digits that are classified at once


def _default_min_score(config: DetectorConfig) -> float:
    """Returns the score from which detection, by default, takes ink by itself for a digit."""
    return to_search_score(config.min_score, config.reliability)


def classify(
    image: ImageArgument,
    more: MoreImagesArgument = (),
    /,
    *,
    weights: WeightsArgument = PRETRAINED,
    min_score: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT",
            help_behavior_hint=f"(default: {_default_min_score(DEFAULT_CONFIG):.2g})",
        ),
    ] = None,
    normalise: bool = True,
    max_megapixels: MaxMegapixelsArgument = None,
    max_file_mib: MaxFileMibArgument = None,
    probabilities: bool = False,
    json: bool = False,
) -> None:
    """Classify images that show one digit each, and print one line an image.

    If an image does not have 28×28 pixels, its ink is scaled and centred as in MNIST's images. A
    line gives the image, the digit and its probability in percent, or "not a digit". An image that
    cannot be read or is blank gets a message on standard error, and the exit status is then 1. Of a
    file of several pages the first is read, and a line on standard error says so.

    Args:
        image: An image file with one digit. An image of 28×28 pixels is taken to be in MNIST's
            format and is not scaled.
        more: More image files.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        min_score: Lowest score of a digit, 0 to 1; what has a lower one is not a digit. The score
            is the highest probability less the second highest, corrected as the search of
            `digits-jax detect` corrects it for ink by itself. With 0 everything is a digit.
        normalise: Accept ink of any colour on paper of any colour, in uneven light. With
            --no-normalise the ink has to be bright on a black background.
        max_megapixels: Largest picture that is read whole, in millions of pixels. It guards against
            files that unpack into more than the memory holds.
        max_file_mib: Largest file of a picture that is read whole, in MiB.
        probabilities: Add the probabilities of the digits 0 to 9, in percent. JSON objects hold
            them in any case.
        json: Print one JSON object an image instead: {"image", "label", "score", "probabilities"},
            with the probabilities of the digits 0 to 9. The label is null if it is not a digit.
    """
    set_read_limits(max_megapixels, max_file_mib)
    if min_score is not None:
        check_range("--min-score", min_score, 0, 1)
    params, config = load_model(weights)
    least = _default_min_score(config) if min_score is None else min_score
    paths = [image, *more]
    digits = []
    inputs = read_single_digits(paths, normalised=normalise)
    for path, digit in progress(inputs, "image", len(paths)):
        if isinstance(digit, ImageError):
            log(f"digits-jax: {digit}")
        else:
            log_that_first_page_is_read(path)
            digits.append((path, digit))
    for start in range(0, len(digits), BATCH_SIZE):
        batch = digits[start : start + BATCH_SIZE]
        readings = _classify_batch(params, np.stack([digit for _, digit in batch]))
        labels = readings.labels
        scores = single_digit_scores(labels, readings.margins, config.component_odds)
        rows = zip(batch, labels.tolist(), scores, readings.probabilities, strict=True)
        for (path, _), best, score, row in rows:
            label = best if score >= least else None
            if json:
                emit(dumps(_to_json(path, label, score, row)))
            else:
                emit(f"{path}: {_describe(label, row, probabilities=probabilities)}")
    if len(digits) < len(paths):
        sys.exit(1)


def _to_json(
    path: Path, label: int | None, score: float, probabilities: Float32[np.ndarray, "10"]
) -> dict[str, Any]:
    """Returns the JSON object of an image; the label is None if it shows no digit."""
    return {
        "image": str(path),
        "label": label,
        "score": round_float32(np.float32(score)),
        "probabilities": [round_float32(value) for value in probabilities],
    }


def _describe(label: int | None, row: Float32[np.ndarray, "10"], *, probabilities: bool) -> str:
    """Returns what an image shows, in words, with the probabilities if they are asked for."""
    text = "not a digit" if label is None else f"{label} ({100 * row[label]:.1f} %)"
    if probabilities:
        text += "; " + ", ".join(f"{digit}: {100 * p:.1f} %" for digit, p in enumerate(row))
    return text


@jax.jit
def _predict(params: Params, images: Float[jax.Array, "n 28 28 1"]) -> Float[jax.Array, "n 10"]:
    return jax.nn.softmax(forward(params, images))


def _classify_batch(params: Params, digits: UInt8[np.ndarray, "n 28 28"]) -> Readings:
    """Returns the probabilities of the ten classes; a digit by itself touches no border."""
    images = uint8_to_float(jnp.asarray(digits[..., None]))
    return Readings(np.asarray(_predict(params, images)), np.zeros(len(digits), np.float32))
