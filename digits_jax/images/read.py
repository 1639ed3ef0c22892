"""Images as arrays of grey values or colours, from files, bytes, Pillow's images and arrays."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from PIL import Image, ImageOps, UnidentifiedImageError

from digits_jax.runtime.errors import DigitsJaxError

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # more than 8 bits a pixel, one channel

Source = str | Path | bytes | bytearray | memoryview | Image.Image | ArrayLike


class ImageError(DigitsJaxError):
    """What cannot be read as an image; the message says why and what to do."""


def read_image(
    source: Source, *, page: int = 0, colour: bool = False
) -> UInt8[np.ndarray, "h w *channels"]:
    """Reads any image as it is, in 8 bits: as grey values, or with its colours for `normalise`.

    An image that a camera stored on its side is turned upright. Grey is the luma, and transparent
    parts are black, as paper has to be where ink is bright. With colours they are white where what
    is opaque is mostly dark.

    Args:
      source: one of
        - a path of a PNG, JPEG, WebP, TIFF, BMP or GIF file, or any other of Pillow's formats;
        - the bytes of such a file;
        - a PIL image, of which the present frame is read;
        - an array or what NumPy makes one of, `[h, w]` or `[h, w, c]` of 1 to 4 channels (grey,
          grey and alpha, RGB, RGBA): float in 0–1, uint16 in 0–65535, bool, or any other integers
          in 0–255.
      page: which page of a TIFF of several, from 0; of the frames of another file the first is 0.
      colour: whether colours are wanted, where there are any.

    Returns:
      `[h, w]` uint8, 0 black and 255 white, or of colours `[h, w, 3]`, RGB.

    Raises:
      ImageError: there is no such file, it is no whole image of a size that Pillow takes, or the
        array is not as above.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return _read_file(str(path), lambda: path.open("rb"), page, colour)
    if isinstance(source, bytes | bytearray | memoryview):
        return _read_file("the data", lambda: BytesIO(source), page, colour)
    if isinstance(source, Image.Image):
        with _explained("the image"):
            return _pixels(ImageOps.exif_transpose(source), colour)
    return _read_array(source, colour)


def count_pages(path: Path) -> int:
    """How many images of its own `read_image` finds in a file: pages of a TIFF; of others 1.

    Raises:
      ImageError: the file cannot be read.
    """
    if not path.is_file():  # a pipe could not be read again
        return 1
    with _opened(str(path), lambda: path.open("rb")) as image:
        return int(image.n_frames) if image.format == "TIFF" else 1  # type: ignore[attr-defined]


def _read_file(
    name: str, open_file: Callable[[], BinaryIO], page: int, colour: bool
) -> UInt8[np.ndarray, "h w *channels"]:
    with _opened(name, open_file) as image:
        if page:
            image.seek(page)
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise ImageError(_too_large(name, f"{image.width * image.height:,}"))
        return _pixels(ImageOps.exif_transpose(image), colour)


@contextmanager
def _opened(name: str, open_file: Callable[[], BinaryIO]) -> Iterator[Image.Image]:
    with _explained(name):
        try:
            # Given a path, Pillow 13 maps uncompressed TIFF and scrambles it if it is on its side.
            with open_file() as file, Image.open(file) as image:
                yield image
        except UnidentifiedImageError as error:
            with open_file() as file:
                raise ImageError(_unidentified(name, file.read(8))) from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns whatever reading raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))  # Pillow counts them, and says so nowhere else
        got = f"{int(pixels[0]):,}" if pixels else str(error)
        raise ImageError(_too_large(name, got)) from error
    except FileNotFoundError as error:
        raise ImageError(
            f"{name} does not exist: expected an image file; check the path"
        ) from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{name} is a folder: expected an image file; name one that is in it"
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise ImageError(
            f"{name} cannot be read as an image: expected a whole and undamaged file, got: "
            f"{reason}; get it again, or convert it to PNG"
        ) from error


def _unidentified(name: str, beginning: bytes) -> str:
    if not beginning:
        return f"{name} is empty: expected an image file, got 0 bytes; get it again"
    return (
        f"{name} is not an image: expected a file in a format that Pillow reads (PNG, JPEG, WebP, "
        f"TIFF, …), got one that begins {beginning!r}; convert it, or if it was cut off, get it "
        "again"
    )


def _too_large(name: str, got: str) -> str:
    return (
        f"{name} is too large: expected at most {Image.MAX_IMAGE_PIXELS:,} pixels, got {got}; "
        "scale it down or cut it up"
    )


def _pixels(image: Image.Image, colour: bool) -> UInt8[np.ndarray, "h w *channels"]:
    if 0 in image.size:
        raise ValueError(f"no pixels, {image.width} × {image.height} of them")
    if image.mode in DEEP_MODES:
        return _eight_bits(image)
    if image.mode == "LAB":  # which Pillow converts to nothing else; its L is the lightness
        return np.array(image.getchannel("L"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        behind = "white" if colour and _is_dark(image) else "black"
        image = Image.alpha_composite(Image.new("RGBA", image.size, behind), image)
    return np.array(image.convert("RGB" if colour and image.mode not in ("1", "L") else "L"))


def _is_dark(image: Image.Image) -> bool:
    """Whether what is opaque is, on the whole."""
    opaque = np.asarray(image.getchannel("A"), np.float64)
    return bool((np.asarray(image.convert("L")) * opaque).sum() < 127.5 * opaque.sum())


def _eight_bits(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    white = 1 if image.mode == "F" else 65535  # "I", of 32 bits, is how Pillow reads 16-bit PGM
    values = np.array(image)
    transparent = image.info.get("transparency")  # a PNG's grey value that stands for nothing
    if transparent is not None:
        values[values == transparent] = 0
    return _scaled(values, white)


def _scaled(values: np.ndarray, white: int) -> UInt8[np.ndarray, "..."]:
    """Scaled by what white is: Pillow would clip at 255.

    Raises:
      ValueError: there are values below black or above white.
    """
    if not ((values >= 0) & (values <= white)).all():  # false for NaN as well
        raise ValueError(
            f"pixels of {values.min():g} to {values.max():g}, where 0 is black and {white} white"
        )
    return np.rint(values * (255 / white)).astype(np.uint8)


def _read_array(source: ArrayLike, colour: bool) -> UInt8[np.ndarray, "h w *channels"]:
    try:
        values = np.asarray(source)
        channels = 1 if values.ndim == 2 else values.shape[-1] if values.ndim == 3 else 0
        if values.dtype.kind not in "buif" or channels not in (1, 2, 3, 4) or not values.size:
            raise ValueError(f"{values.dtype} {list(values.shape)}")
        if values.dtype != np.uint8:
            integer = 65535 if values.dtype == np.uint16 else 255
            values = _scaled(values, integer if values.dtype.kind in "ui" else 1)
    except (TypeError, ValueError) as error:
        raise ImageError(
            "an array cannot be read as an image: expected [h, w] or [h, w, c] of 1 to 4 channels, "
            f"float in 0–1, uint16 in 0–65535, bool, or integers in 0–255; got {error}"
        ) from error
    if channels == 1:
        return values.reshape(values.shape[:2]).copy()
    return _pixels(Image.fromarray(np.ascontiguousarray(values)), colour)
