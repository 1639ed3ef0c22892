"""What the commands read: pictures, and the ink in them."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.detector import MIN_SCORE
from digits_jax.images.folders import Page
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.images.read import ImageError, Source, read_image
from digits_jax.runtime.prefetch import prefetch

# Photographs hold much that is like a digit once its contrast is full. Chosen, as is the score that
# ink on black asks for, on scenes of validation digits and on photographs.
SURER = 0.65

Picture = UInt8[np.ndarray, "_ _ *channels"]
Ink = UInt8[np.ndarray, "_ _"]
Digit = UInt8[np.ndarray, "28 28"]
Read = TypeVar("Read")


def read_ink(source: Source, *, page: int = 0, normalised: bool) -> tuple[Picture, Ink]:
    """A picture, and its ink as bright on black; if not normalised, both are its grey values.

    Raises:
      ImageError: as `read_image`.
    """
    picture = read_image(source, page=page, colour=normalised)
    return picture, normalise(picture) if normalised else picture


def default_min_score(picture: Picture, *, normalised: bool) -> float:
    """The score from which on a digit counts in a picture, unless another is asked for.

    It is higher where paper had to be told from ink, which is where other things look like digits.
    """
    return SURER if normalised and not is_ink_on_black(picture) else MIN_SCORE


def read_pages(
    pages: Iterable[Page], *, normalised: bool
) -> Iterator[tuple[tuple[Page, Picture | None], Ink | ImageError]]:
    """Each page with its picture, and the ink in it or why it cannot be read; by workers, ahead."""
    for page, sheet in prefetch(partial(_read_page, normalised=normalised), pages):
        if isinstance(sheet, ImageError):
            yield (page, None), sheet
        else:
            yield (page, sheet[0]), sheet[1]


def read_single_digits(
    paths: Iterable[Path], *, normalised: bool
) -> Iterator[tuple[Path, Digit | ImageError]]:
    """Each image's one digit, framed as MNIST's, or why it cannot be read; by workers, ahead."""

    def read(path: Path) -> Digit | ImageError:
        return _or_error(lambda: _framed(path, normalised))

    return prefetch(read, paths)


def _read_page(page: Page, *, normalised: bool) -> tuple[Picture, Ink] | ImageError:
    if page.error:
        return page.error
    return _or_error(lambda: read_ink(page.image, page=page.number or 0, normalised=normalised))


def _framed(path: Path, normalised: bool) -> Digit:
    ink = read_ink(path, normalised=normalised)[1]
    try:
        return frame_digit(normalise_stroke_width(ink))
    except ValueError as error:
        raise ImageError(f"{path} is blank: {error}; name another image") from error


def _or_error(read: Callable[[], Read]) -> Read | ImageError:
    try:
        return read()
    except ImageError as error:
        return error
