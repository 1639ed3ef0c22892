"""The commands that read images: `digits-jax detect`, `classify` and `maps`."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float, UInt8

from digits_jax.annotate import annotate as draw_detections
from digits_jax.annotate import draw_maps
from digits_jax.detect import (
    CAPACITY,
    MAX_SIZE,
    MIN_SCORE,
    MIN_SIZE,
    Detections,
    response_maps,
)
from digits_jax.framing import frame_digit
from digits_jax.images import ImageError, read_image
from digits_jax.network import SIDE, Params
from digits_jax.network import classify as logits_of
from digits_jax.outputs import picture_paths, prepare_file, prepare_folder, replacing
from digits_jax.peaks import sizes_between
from digits_jax.report import progress, say, tell
from digits_jax.stream import detect_each, read_ahead
from digits_jax.weights import resolve_weights

DIGITS_AT_ONCE = 500

First = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
More = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[IMAGE …]", help_behavior_hint=""),
]
Weights = Annotated[str, tyro.conf.arg(metavar="released|WORKDIR|FILE")]


def detect(
    image: First,
    more: More = (),
    /,
    *,
    weights: Weights = "released",
    min_score: float = MIN_SCORE,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    output: Path | None = None,
    annotate: Path | None = None,
) -> None:
    """Find every digit in images; print one JSON object for each.

    Args:
        image: An image file, ink bright on dark.
        more: Any more of them.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        min_score: The least score of a digit, 0 to 1.
        min_size: The smallest digits' size in pixels.
        max_size: The largest digits' size in pixels.
        output: File to write the JSON lines to instead, whole or not at all.
        annotate: Folder for a PNG of each image with boxes and labels.
    """
    paths = [image, *more]
    _check_detection(min_score, min_size, max_size)
    if output:
        prepare_file(output)
    pictures = picture_paths(paths, annotate) if annotate else []
    params = resolve_weights(weights)
    failed: list[Path] = []

    def readable() -> Iterator[tuple[int, UInt8[np.ndarray, "h w"]]]:
        for k, (path, read) in enumerate(read_ahead(partial(_read, read=read_image), paths)):
            if isinstance(read, ImageError):
                say(f"digits-jax: {read}")
                failed.append(path)
            else:
                yield k, read

    lines = []
    each = detect_each(
        params, readable(), min_size=min_size, max_size=max_size, min_score=min_score
    )
    for k, pixels, found in progress(each, "image", len(paths)):
        if found.overflow:
            say(
                f"digits-jax: {paths[k]} has more digits than the {CAPACITY} surest, which "
                "are given; cut it up, or raise --min-score"
            )
        lines.append(dumps(_described(paths[k], pixels, found)))
        if not output:
            tell(lines[-1])
        if pictures:
            with replacing(pictures[k]) as temporary:
                draw_detections(pixels, found).save(temporary)
    if output:
        with replacing(output) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if failed:
        sys.exit(1)


def classify(
    image: First, more: More = (), /, *, weights: Weights = "released", json: bool = False
) -> None:
    """Tell which digit each image shows, as large and as centred as MNIST's whatever its size.

    Args:
        image: An image file with one digit, ink bright on dark; 28×28 pixels are taken as they are.
        more: Any more of them.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        json: Print a JSON object for each, with all ten probabilities.
    """
    params = resolve_weights(weights)
    paths, digits = [image, *more], []
    reading = read_ahead(partial(_read, read=_read_digit), paths)
    for path, read in progress(reading, "image", len(paths)):
        if isinstance(read, ImageError):
            say(f"digits-jax: {read}")
        else:
            digits.append((path, read))
    for start in range(0, len(digits), DIGITS_AT_ONCE):
        batch = digits[start : start + DIGITS_AT_ONCE]
        probabilities = _probabilities(params, np.stack([digit for _, digit in batch]))
        for (path, _), of_digit in zip(batch, probabilities, strict=True):
            label = int(of_digit.argmax())
            if json:
                listed = [_short(p) for p in of_digit]
                tell(dumps({"image": str(path), "label": label, "probabilities": listed}))
            else:
                tell(f"{path}: {label} ({100 * of_digit[label]:.1f} %)")
    if len(digits) < len(paths):
        sys.exit(1)


def maps(image: First, /, *, output: Path, weights: Weights = "released") -> None:
    """Write what the network says of every 28×28 window of an image, as arrays and as pictures.

    Args:
        image: An image file, ink bright on dark, at least 28 pixels a side.
        output: Folder for maps.npz, class_maps.png (Figure 5) and confidence_maps.png (Figure 6).
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
    """
    pixels = read_image(image)
    height, width = pixels.shape
    if min(height, width) < SIDE:
        raise ImageError(
            f"{image} is too small: expected at least {SIDE} pixels a side, got {width} × "
            f"{height}; enlarge it, or give it a black border"
        )
    prepare_folder(output)
    params = resolve_weights(weights)
    found = response_maps(params, jnp.asarray(pixels[None, ..., None], jnp.float32) / 255)
    with replacing(output / "maps.npz") as temporary:
        np.savez(
            temporary,
            probabilities=found.probabilities[0],
            margin=found.margin[0],
            entropy=found.entropy[0],
            label=found.label[0],
        )
    pictures = output / "class_maps.png", output / "confidence_maps.png"
    draw_maps(pixels, found, *pictures)
    say("Wrote " + ", ".join(map(str, (output / "maps.npz", *pictures))))


def _check_detection(min_score: float, min_size: float, max_size: float) -> None:
    """Refuses before anything is loaded what `detect` would refuse."""
    sizes_between(min_size, max_size)
    if not 0 <= min_score <= 1:
        raise ValueError(f"expected --min-score of 0 to 1; got {min_score:g}")


def _read(
    path: Path, read: Callable[[Path], UInt8[np.ndarray, "h w"]]
) -> UInt8[np.ndarray, "h w"] | ImageError:
    """The image, or why it cannot be read."""
    try:
        return read(path)
    except ImageError as error:
        return error


def _read_digit(path: Path) -> UInt8[np.ndarray, "28 28"]:
    image = read_image(path)
    try:
        return frame_digit(image)
    except ValueError as error:
        raise ImageError(f"{path} is blank: {error}; name another image") from error


@jax.jit
def _softmax(params: Params, images: Float[jax.Array, "n 28 28 1"]) -> Float[jax.Array, "n 10"]:
    return jax.nn.softmax(logits_of(params, images))


def _probabilities(
    params: Params, digits: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n 10"]:
    return np.asarray(_softmax(params, jnp.asarray(digits[..., None], jnp.float32) / 255))


def _described(path: Path, image: UInt8[np.ndarray, "h w"], found: Detections) -> dict[str, Any]:
    height, width = image.shape
    digits = zip(found.labels, found.scores, found.boxes_xyxy, strict=True)
    return {
        "image": str(path),
        "width": width,
        "height": height,
        "detections": [
            {"label": int(label), "score": _short(score), "box": box.tolist()}
            for label, score, box in digits
        ],
    }


def _short(value: np.floating[Any]) -> float:
    """Without the digits that float32 does not have."""
    return float(f"{value:.6g}")
