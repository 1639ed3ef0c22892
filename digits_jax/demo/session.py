"""One picture on the page of `digits-jax demo`: as it is given, as it is searched and shown."""

import time
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from PIL import Image

from digits_jax.demo.drawing_pad import drawing_file
from digits_jax.detect.detector import (
    MAX_DETECTIONS,
    MAX_SIZE,
    MIN_SIZE,
    Detections,
    detect,
    response_maps,
)
from digits_jax.detect.inputs import Ink, Picture, default_min_score, read_ink
from digits_jax.detect.output_formats import Result, page_result
from digits_jax.detect.visualize import draw_detections, overlay_map
from digits_jax.images.folders import Page
from digits_jax.images.read import read_image
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params
from digits_jax.models.fcn.features import STRIDE

LONGEST = 1200  # px of a picture's longer side; larger ones are scaled down
SMALL = 400  # px; larger ones are searched for larger digits
LOW_SCORE = 0.05  # of the search, so that a threshold can go down to it without another

Sizes = tuple[float, float]  # of the digits to search for, from the smallest to the largest, px
SIZES = SMALL_SIZES, LARGE_SIZES = (MIN_SIZE, MAX_SIZE), (30.0, 400.0)  # small ones take the time
DRAWN_SIZES = (50.0, 350.0)

Number = int | float  # as a page's sliders give them


class InputPicture(NamedTuple):
    """What the page is given."""

    name: str
    file: bytes  # in any of Pillow's formats
    sizes: Sizes | None = None  # of its digits, if they are known


class SearchResult(NamedTuple):
    """A picture, at most LONGEST px a side, and its digits from LOW_SCORE up."""

    given: InputPicture
    picture: Picture
    ink: Ink  # what was searched
    found: Detections
    least: float  # the score that suits it
    how: str  # for people


def drawn(drawing: str) -> InputPicture:
    """What the drawing board holds."""
    return InputPicture("drawing", drawing_file(drawing), DRAWN_SIZES)


def opened(path: Path) -> InputPicture:
    """A file, of whatever it may turn out to be."""
    return InputPicture(path.name, path.read_bytes())


def search(
    params: Params, given: InputPicture, sizes: Sizes | None, *, normalised: bool
) -> SearchResult:
    """Finds the digits of a picture as `detect` does: of these sizes, or of those that suit it.

    Raises:
      ImageError: what is given cannot be read.
    """
    begun = time.perf_counter()
    original = read_image(given.file, colour=normalised)
    scaled = _scaled_down(original)
    # Scaled first, so that the surroundings of large pictures' ink are large as well.
    picture, ink = read_ink(scaled, normalised=normalised)
    suitable = SMALL_SIZES if max(ink.shape) <= SMALL else LARGE_SIZES
    smallest, largest = sizes or given.sizes or suitable
    found = detect(params, ink, min_size=smallest, max_size=largest, min_score=LOW_SCORE)
    seconds = time.perf_counter() - begun
    how = f", searched for digits of {smallest:g} to {largest:g} px in {seconds:.1f} s"
    if scaled.shape != original.shape:
        how = f", scaled from {_measures(original)} to {_measures(scaled)} px{how}"
    return SearchResult(
        given, picture, ink, found, default_min_score(picture, normalised=normalised), how
    )


def _scaled_down(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    shrink = LONGEST / max(height, width)
    if shrink >= 1:
        return picture
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _measures(picture: Picture) -> str:
    height, width = picture.shape[:2]
    return f"{width}×{height}"


def show(searched: SearchResult, score: Number) -> tuple[Image.Image, str, Result]:
    """The boxes, a sentence and the JSON of the digits of at least this score.

    A reading that a better one beats counts little, even where that one's score is less.
    """
    name, found, how = searched.given.name, searched.found, searched.how
    digits = found.from_score(score)
    count = len(digits.labels)
    sentence = f"{count} digit{'s' * (count != 1)} in {name}{how}."
    if digits.overflow:
        sentence += f" There may be more: only the {MAX_DETECTIONS} likeliest were looked at."
    result = page_result(Page(Path(name)), searched.ink, digits, read=False)
    return draw_detections(searched.picture, digits), sentence, result


def surest_size(searched: SearchResult) -> int:
    """The size of the surest digit, px; where there is none, that of the network's window."""
    windows = searched.found.windows_xyxy
    return round(float(windows[0, 2] - windows[0, 0])) if len(windows) else INPUT_SIDE


def maps(params: Params, ink: Ink, size: Number) -> list[tuple[Image.Image, str]]:
    """The margin and the ten classes over the ink, scaled so that digits of this size fit."""
    height, width = (STRIDE * max(1, round(px * INPUT_SIDE / size / STRIDE)) for px in ink.shape)
    scaled = Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR)
    # Black around it, so that there is a window for every STRIDE × STRIDE pixels.
    padded = np.pad(np.asarray(scaled), (INPUT_SIDE - STRIDE) // 2)
    found = response_maps(params, jnp.asarray(padded[None, ..., None], jnp.float32) / 255)
    classes = np.asarray(found.probabilities[0])
    named = {"margin": np.asarray(found.margin[0])}
    named |= {str(digit): classes[..., digit] for digit in range(NUM_CLASSES)}
    return [(overlay_map(ink, values), name) for name, values in named.items()]
