"""One picture on the page of `digits-jax demo`: its input, the search, and what is displayed."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from PIL import Image

from digits_jax.demo.drawing_pad import decode_drawing
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import Ink, Picture, default_min_score, read_ink
from digits_jax.detect.output_formats import Result, page_result
from digits_jax.detect.visualize import draw_detections, overlay_map
from digits_jax.images.folders import Page
from digits_jax.images.pixels import uint8_to_float
from digits_jax.images.read import read_image
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.response_maps import response_maps

MAX_SIDE_PX = 1200  # of a picture's longer side; larger pictures are scaled down
SMALL_PICTURE_PX = 400  # up to this longer side, small digits are searched for by default
SEARCH_MIN_SCORE = 0.05  # the threshold can be lowered to it without another search

SizeRange = tuple[float, float]  # smallest and largest digits to search for, px
SMALL_DIGITS: SizeRange = (DEFAULT_CONFIG.min_size, DEFAULT_CONFIG.max_size)
LARGE_DIGITS: SizeRange = (30.0, 400.0)  # faster: the small scales take most of the time
SIZE_RANGES = (SMALL_DIGITS, LARGE_DIGITS)
DRAWN_DIGITS: SizeRange = (50.0, 350.0)

Number = int | float  # the type of a slider's value
Detect = Callable[[Params, DetectorConfig, Ink], Detections]


class InputPicture(NamedTuple):
    """A picture that a visitor gives to the page."""

    name: str
    file: bytes  # in any format that Pillow reads
    sizes: SizeRange | None = None  # of its digits, if they are known


class SearchResult(NamedTuple):
    """A picture of at most MAX_SIDE_PX, and its detections from SEARCH_MIN_SCORE up."""

    source: InputPicture
    picture: Picture
    ink: Ink  # the image that was searched
    detections: Detections
    default_min_score: float  # the threshold that suits this kind of picture
    summary: str  # of the search, as the end of a sentence
    max_detections: int  # the most candidates that were examined


def picture_from_drawing(data_url: str) -> InputPicture:
    """Returns the picture on the drawing pad."""
    return InputPicture("drawing", decode_drawing(data_url), DRAWN_DIGITS)


def picture_from_file(path: Path) -> InputPicture:
    """Returns the picture in a file, which need not be an image."""
    return InputPicture(path.name, path.read_bytes())


def detect_ink(params: Params, config: DetectorConfig, ink: Ink) -> Detections:
    """Finds the digits in bright ink on black."""
    return Detector(params, config).detect(ink)


def search_picture(
    params: Params,
    source: InputPicture,
    sizes: SizeRange | None,
    *,
    normalised: bool,
    config: DetectorConfig = DEFAULT_CONFIG,
    detect: Detect = detect_ink,
) -> SearchResult:
    """Finds the digits of a picture, as the command `detect` does.

    Args:
      params: the network's parameters.
      source: the picture.
      sizes: the digits to search for; by default those that suit the picture.
      normalised: whether to normalise the picture; otherwise its ink has to be bright on black.
      config: the constants of detection; `sizes` and SEARCH_MIN_SCORE replace its fields.
      detect: finds the digits in the ink.

    Raises:
      ImageError: the picture cannot be read.
    """
    start = time.perf_counter()
    original = read_image(source.file, colour=normalised)
    # Scaled before it is normalised, so that normalising sees the same surroundings at any size.
    scaled = _scale_down(original)
    picture, ink = read_ink(scaled, normalised=normalised)
    suitable = SMALL_DIGITS if max(ink.shape) <= SMALL_PICTURE_PX else LARGE_DIGITS
    min_size, max_size = sizes or source.sizes or suitable
    search_config = dataclasses.replace(
        config, min_size=min_size, max_size=max_size, min_score=SEARCH_MIN_SCORE
    )
    detections = detect(params, search_config, ink)
    seconds = time.perf_counter() - start
    summary = f", searched for digits of {min_size:g} to {max_size:g} px in {seconds:.1f} s"
    if scaled.shape != original.shape:
        summary = f", scaled from {_format_size(original)} to {_format_size(scaled)} px{summary}"
    threshold = default_min_score(picture, normalised=normalised, config=config)
    return SearchResult(source, picture, ink, detections, threshold, summary, config.max_detections)


def _scale_down(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    factor = MAX_SIDE_PX / max(height, width)
    if factor >= 1:
        return picture
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _format_size(picture: Picture) -> str:
    height, width = picture.shape[:2]
    return f"{width}×{height}"


def display(result: SearchResult, min_score: Number) -> tuple[Image.Image, str, Result]:
    """Renders the detections of at least a score.

    Args:
      result: the search.
      min_score: the threshold, SEARCH_MIN_SCORE to 1.

    Returns:
      The picture with boxes and labels, a sentence, and the JSON object of the page.
    """
    detections = result.detections.from_score(min_score)
    count = len(detections.labels)
    sentence = f"{count} digit{'s' * (count != 1)} in {result.source.name}{result.summary}."
    if detections.truncated:
        sentence += f" There may be more: only the {result.max_detections} likeliest were examined."
    page = Page(Path(result.source.name))
    json = page_result(page, result.ink, detections, read=False)
    return draw_detections(result.picture, detections), sentence, json


def best_detection_size(result: SearchResult) -> int:
    """Returns the size of the best detection in px; without detections, the network window's, 28.

    Args:
      result: the search.
    """
    windows = result.detections.windows_xyxy
    return round(float(windows[0, 2] - windows[0, 0])) if len(windows) else INPUT_SIDE


def draw_maps(params: Params, ink: Ink, size: Number) -> list[tuple[Image.Image, str]]:
    """Draws the margin and the probabilities of the ten classes over the ink.

    Args:
      params: the network's parameters.
      ink: the image, ink bright on black.
      size: size of the digits in px; the image is scaled so that they fit the network's window.

    Returns:
      Eleven pictures of the ink's size with their names: "margin", "0", …, "9".
    """
    height, width = (STRIDE * max(1, round(px * INPUT_SIDE / size / STRIDE)) for px in ink.shape)
    scaled = Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR)
    # Padded with black, so that there is a window for every STRIDE × STRIDE pixels.
    padded = np.pad(np.asarray(scaled), (INPUT_SIDE - STRIDE) // 2)
    responses = response_maps(params, uint8_to_float(jnp.asarray(padded[None, ..., None])))
    classes = np.asarray(responses.probabilities[0])
    maps = {"margin": np.asarray(responses.margin[0])}
    maps |= {str(digit): classes[..., digit] for digit in range(NUM_CLASSES)}
    return [(overlay_map(ink, values), name) for name, values in maps.items()]
