"""The images that the commands read: pages for detection, and single digits."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.images.folders import Page
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.images.read import ImageError, Source, read_image
from digits_jax.runtime.prefetch import prefetch

Picture = UInt8[np.ndarray, "_ _ *channels"]
Ink = UInt8[np.ndarray, "_ _"]
Digit = UInt8[np.ndarray, "28 28"]
Name = TypeVar("Name")
Value = TypeVar("Value")


def read_ink(source: Source, *, page: int = 0, normalised: bool) -> tuple[Picture, Ink]:
    """Reads a picture and its ink as bright on black.

    Args:
      source: a path, or the bytes of a file.
      page: the number of the page, from 0.
      normalised: whether to normalise. If not, both results are the picture's grey values.

    Raises:
      ImageError: the file cannot be read, as for `read_image`.
    """
    picture = read_image(source, page=page, colour=normalised)
    return picture, normalise(picture) if normalised else picture


def default_min_score(
    picture: Picture, *, normalised: bool, config: DetectorConfig = DEFAULT_CONFIG
) -> float:
    """Returns the score threshold that suits a picture, for commands to which none is given.

    It is higher for photographs. Their ink has to be separated from the paper, and more that is no
    digit looks like one.

    Args:
      picture: as `read_ink` returns it.
      normalised: whether the picture is normalised before it is searched.
      config: holds the two thresholds.
    """
    is_photo = normalised and not is_ink_on_black(picture)
    return config.photo_min_score if is_photo else config.min_score


def read_pages(
    pages: Iterable[Page], *, normalised: bool
) -> Iterator[tuple[tuple[Page, Picture | None], Ink | ImageError]]:
    """Yields each page with its picture, and with its ink or the error that reading it raised.

    Threads read the next pages in the meantime.

    Args:
      pages: as `list_pages` yields them.
      normalised: as for `read_ink`.
    """
    for page, result in prefetch(partial(_read_page, normalised=normalised), pages):
        if isinstance(result, ImageError):
            yield (page, None), result
        else:
            picture, ink = result
            yield (page, picture), ink


def read_single_digits(
    paths: Iterable[Path], *, normalised: bool
) -> Iterator[tuple[Path, Digit | ImageError]]:
    """Yields each path with its one digit in MNIST's format, or with the error it raised.

    Threads read the next images in the meantime.

    Args:
      paths: image files that show one digit each.
      normalised: as for `read_ink`.
    """

    def read(path: Path) -> Digit | ImageError:
        return _value_or_error(lambda: _read_digit(path, normalised))

    return prefetch(read, paths)


def detect_readable(
    detect_each: Callable[
        [Iterator[tuple[tuple[int, Name], Ink]]],
        Iterator[tuple[tuple[int, Name], Ink, Detections]],
    ],
    images: Iterable[tuple[Name, Ink | ImageError]],
) -> Iterator[tuple[Name, tuple[Ink, Detections] | ImageError]]:
    """Runs a detection on the images that could be read, and passes the errors of the others on.

    Args:
      detect_each: `Detector.detect_each`.
      images: names, each with its image or with the error that reading it raised.

    Yields:
      Each name with its image and detections, or with its error, in the order given.
    """
    unreadable: deque[tuple[int, Name, ImageError]] = deque()

    def readable() -> Iterator[tuple[tuple[int, Name], Ink]]:
        for k, (name, image) in enumerate(images):
            if isinstance(image, ImageError):
                unreadable.append((k, name, image))
            else:
                yield (k, name), image

    for (k, name), image, detections in detect_each(readable()):
        while unreadable and unreadable[0][0] < k:
            yield unreadable.popleft()[1:]
        yield name, (image, detections)
    for _, name, error in unreadable:
        yield name, error


def _read_page(page: Page, *, normalised: bool) -> tuple[Picture, Ink] | ImageError:
    if page.error:
        return page.error
    number = page.number or 0
    return _value_or_error(lambda: read_ink(page.image, page=number, normalised=normalised))


def _read_digit(path: Path, normalised: bool) -> Digit:
    ink = read_ink(path, normalised=normalised)[1]
    try:
        return frame_digit(normalise_stroke_width(ink))
    except ValueError as error:
        raise ImageError(f"{path} is blank: {error}; name another image") from error


def _value_or_error(read: Callable[[], Value]) -> Value | ImageError:
    try:
        return read()
    except ImageError as error:
        return error
