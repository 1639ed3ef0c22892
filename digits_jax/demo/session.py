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
from digits_jax.images.folders import Page, list_pages
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.response_maps import response_maps

SEARCH_MIN_SCORE = 0.05  # the threshold can be lowered to it without another search
MAX_DISPLAY_SIDE_PX = 2400  # larger pictures are searched as they are, and displayed smaller
MAX_MAP_SIDE_PX = 1200  # of the scaled ink whose maps are drawn, which take minutes an image
MAX_MAP_DIGIT_PX = 1000  # the largest digits whose maps can be drawn

SizeRange = tuple[float, float | None]  # smallest and largest digits to search for, px; None: any
ANY_SIZE: SizeRange = (DEFAULT_CONFIG.min_size, None)
SIZE_RANGES: tuple[SizeRange, ...] = ((DEFAULT_CONFIG.min_size, 60.0), (30.0, 250.0), (120.0, None))

Number = int | float  # the type of a slider's value
Detect = Callable[[Params, DetectorConfig, Ink], Detections]


class InputPicture(NamedTuple):
    """A picture that a visitor gives to the page."""

    name: str
    file: bytes  # in any format that `read_image` reads
    pages: int = 1  # of which the first is searched


class SearchResult(NamedTuple):
    """A picture, and its detections from SEARCH_MIN_SCORE up."""

    source: InputPicture
    picture: Picture
    ink: Ink  # the image that was searched
    detections: Detections
    default_min_score: float  # the threshold that suits this kind of picture
    summary: str  # of the search, as the end of a sentence
    max_detections: int | None  # the most detections of a search; None for any number


def picture_from_drawing(data_url: str) -> InputPicture:
    """Returns the picture on the drawing pad."""
    return InputPicture("drawing", decode_drawing(data_url))


def picture_from_file(path: Path) -> InputPicture:
    """Returns the picture in a file, which need not be an image."""
    return InputPicture(path.name, path.read_bytes(), len(list(list_pages([path]))))


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
      sizes: the digits to search for; None for those of the config.
      normalised: whether to normalise the picture; otherwise its ink has to be bright on black.
      config: the constants of detection; `sizes` and SEARCH_MIN_SCORE replace its fields.
      detect: finds the digits in the ink.

    Raises:
      ImageError: the picture cannot be read.
    """
    start = time.perf_counter()
    picture, ink = read_ink(source.file, normalised=normalised)
    min_size, max_size = sizes or (config.min_size, config.max_size)
    search_config = dataclasses.replace(
        config, min_size=min_size, max_size=max_size, min_score=SEARCH_MIN_SCORE
    )
    detections = detect(params, search_config, ink)
    seconds = time.perf_counter() - start
    summary = f", searched for digits of {format_range((min_size, max_size))} in {seconds:.1f} s"
    threshold = default_min_score(picture, normalised=normalised, config=config)
    return SearchResult(source, picture, ink, detections, threshold, summary, config.max_detections)


def format_range(sizes: SizeRange) -> str:
    """Returns a range of sizes in words, such as "12 to 60 px"."""
    low, high = sizes
    return f"{low:g} px and more" if high is None else f"{low:g} to {high:g} px"


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
    pages = result.source.pages
    where = result.source.name + (f", the first of {pages:,} pages" if pages > 1 else "")
    sentence = f"{count} digit{'s' * (count != 1)} in {where}{result.summary}."
    if detections.truncated and result.max_detections:
        sentence += f" There are more: the weights' configuration allows {result.max_detections}."
    elif detections.truncated:
        sentence += " There may be more: not all candidates were examined."
    page = Page(Path(result.source.name))
    json = page_result(page, result.ink.shape, detections, read=False)
    drawn = draw_detections(result.picture, detections)
    drawn.thumbnail((MAX_DISPLAY_SIDE_PX, MAX_DISPLAY_SIDE_PX), Image.Resampling.BOX)
    return drawn, sentence, json


def best_detection_size(result: SearchResult) -> int:
    """Returns the size of the best detection in px, at most MAX_MAP_DIGIT_PX.

    Without detections it is that of the network's window, 28.

    Args:
      result: the search.
    """
    windows = result.detections.windows_xyxy
    size = round(float(windows[0, 2] - windows[0, 0])) if len(windows) else INPUT_SIDE
    return min(size, MAX_MAP_DIGIT_PX)


def draw_maps(params: Params, ink: Ink, size: Number) -> list[tuple[Image.Image, str]]:
    """Draws the margin and the probabilities of the ten classes over the ink.

    Args:
      params: the network's parameters.
      ink: the image, ink bright on black.
      size: size of the digits in px. The image is scaled so that they fit the network's window,
        but not to more than MAX_MAP_SIDE_PX.

    Returns:
      Eleven pictures of the ink's size with their names: "margin", "0", …, "9".
    """
    scale = min(INPUT_SIDE / size, MAX_MAP_SIDE_PX / max(ink.shape))
    height, width = (STRIDE * max(1, round(px * scale / STRIDE)) for px in ink.shape)
    scaled = Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR)
    # Padded with black, so that there is a window for every STRIDE × STRIDE pixels.
    padded = np.pad(np.asarray(scaled), (INPUT_SIDE - STRIDE) // 2)
    responses = response_maps(params, uint8_to_float(jnp.asarray(padded[None, ..., None])))
    classes = np.asarray(responses.probabilities[0])
    maps = {"margin": np.asarray(responses.margin[0])}
    maps |= {str(digit): classes[..., digit] for digit in range(NUM_CLASSES)}
    return [(overlay_map(ink, values), name) for name, values in maps.items()]
