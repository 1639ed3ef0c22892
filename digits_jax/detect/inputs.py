"""The images that the commands read: pages for detection, and single digits."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.images.folders import Page
from digits_jax.images.ink_rows import GreyRows, NormalisedRows
from digits_jax.images.large import count_tiff_pages, is_read_by_rows, open_large_image
from digits_jax.images.mnist_format import frame_single_digit
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.images.pdf import DEFAULT_DPI
from digits_jax.images.read import ImageError, Source, TooLargeError, read_image
from digits_jax.runtime.prefetch import prefetch

Picture = UInt8[np.ndarray, "_ _ *channels"]
Ink = UInt8[np.ndarray, "_ _"]
Digit = UInt8[np.ndarray, "28 28"]
LargeInk = NormalisedRows | GreyRows
Name = TypeVar("Name")
Value = TypeVar("Value")


class LargePage(NamedTuple):
    """A page whose rows are read in strips, since it is larger than memory or a stored array."""

    path: Path
    number: int  # from 0


def read_ink(
    source: Source, *, page: int = 0, normalised: bool, dpi: int | float = DEFAULT_DPI
) -> tuple[Picture, Ink]:
    """Reads a picture and its ink as bright on black.

    Args:
      source: a path, or the bytes of a file.
      page: the number of the page, from 0.
      normalised: whether to normalise. If not, both results are the picture's grey values.
      dpi: pixels per inch at which a page of a PDF file is rendered.

    Raises:
      ImageError: the file cannot be read, as for `read_image`.
    """
    picture = read_image(source, page=page, colour=normalised, dpi=dpi)
    return picture, normalise(picture) if normalised else picture


def default_min_score(
    picture: Picture | LargeInk, *, normalised: bool, config: DetectorConfig = DEFAULT_CONFIG
) -> float:
    """Returns the score threshold that suits a picture, for commands to which none is given.

    It is higher for photographs. Their ink has to be separated from the paper, and more that is no
    digit looks like one.

    Args:
      picture: as `read_ink` returns it, or the rows of ink of a large one.
      normalised: whether the picture is normalised before it is searched.
      config: holds the two thresholds.
    """
    if isinstance(picture, np.ndarray):
        on_black = is_ink_on_black(picture)
    else:
        on_black = picture.is_ink_on_black
    is_photo = normalised and not on_black
    return config.photo_min_score if is_photo else config.min_score


def read_pages(
    pages: Iterable[Page], *, normalised: bool, dpi: int | float = DEFAULT_DPI
) -> Iterator[tuple[tuple[Page, Picture | None], Ink | LargePage | ImageError]]:
    """Yields each page with its picture, and with its ink or the error that reading it raised.

    A page larger than memory comes without a picture and as a `LargePage`.

    Threads read the next pages in the meantime.

    Args:
      pages: as `list_pages` yields them.
      normalised: as for `read_ink`.
      dpi: as for `read_ink`.
    """
    for page, result in prefetch(partial(_read_page, normalised=normalised, dpi=dpi), pages):
        if isinstance(result, ImageError | LargePage):
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


def detect_large(
    detector: Detector, page: LargePage, *, normalised: bool, show_progress: bool = False
) -> tuple[LargeInk, Detections]:
    """Finds every digit in a page whose rows are read in strips.

    Args:
      detector: the detector.
      page: the page.
      normalised: whether to normalise. If not, the ink has to be bright on black.
      show_progress: whether to show on standard error how much is read.

    Returns:
      The page's ink, whose rows can no longer be read, and the detections.

    Raises:
      ImageError: the file cannot be read in strips, as for `open_large_image`.
      ArgumentError: the detector's method is "windows".
    """
    with open_large_image(page.path, page.number) as image:
        rows: LargeInk = GreyRows(image)
        if normalised:
            rows = NormalisedRows(image, show_progress=show_progress)
        return rows, detector.detect_rows(rows)


def detect_readable(
    detect_each: Callable[
        [Iterator[tuple[tuple[int, Name], Ink]]],
        Iterator[tuple[tuple[int, Name], Ink, Detections]],
    ],
    images: Iterable[tuple[Name, Ink | LargePage | ImageError]],
    detect_large: Callable[[LargePage], tuple[LargeInk, Detections]],
) -> Iterator[tuple[Name, tuple[Ink | LargeInk, Detections] | ImageError]]:
    """Runs a detection on the images that could be read, and passes the errors of the others on.

    Args:
      detect_each: `Detector.detect_each`.
      images: names, each with its image, or where its rows are, or the error that reading it
        raised.
      detect_large: runs a detection on an image whose rows are read in strips.

    Yields:
      Each name with its image and detections, or with its error, in the order given.
    """
    apart: deque[tuple[int, Name, LargePage | ImageError]] = deque()

    def readable() -> Iterator[tuple[tuple[int, Name], Ink]]:
        for k, (name, image) in enumerate(images):
            if isinstance(image, LargePage | ImageError):
                apart.append((k, name, image))
            else:
                yield (k, name), image

    def outcome(image: LargePage | ImageError) -> tuple[LargeInk, Detections] | ImageError:
        if isinstance(image, ImageError):
            return image
        return _value_or_error(partial(detect_large, image))

    for (k, name), image, detections in detect_each(readable()):
        while apart and apart[0][0] < k:
            _, other, large = apart.popleft()
            yield other, outcome(large)
        yield name, (image, detections)
    for _, name, large in apart:
        yield name, outcome(large)


def _read_page(
    page: Page, *, normalised: bool, dpi: int | float
) -> tuple[Picture, Ink] | LargePage | ImageError:
    if page.error:
        return page.error
    number = page.number or 0
    if is_read_by_rows(page.image):
        return LargePage(page.image, number)
    try:
        return read_ink(page.image, page=number, normalised=normalised, dpi=dpi)
    except TooLargeError as error:
        is_tiff = _value_or_error(partial(count_tiff_pages, page.image))
        if isinstance(is_tiff, ImageError):
            return is_tiff
        return error if is_tiff is None else LargePage(page.image, number)
    except ImageError as error:
        return error


def _read_digit(path: Path, normalised: bool) -> Digit:
    ink = read_ink(path, normalised=normalised)[1]
    try:
        return frame_single_digit(ink)
    except ValueError as error:
        raise ImageError(f"{path} is blank: {error}; name another image") from error


def _value_or_error(read: Callable[[], Value]) -> Value | ImageError:
    try:
        return read()
    except ImageError as error:
        return error
