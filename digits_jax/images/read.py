"""Reads images as arrays of grey values or colours: files, bytes, PIL images and arrays."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from digits_jax.images import heif
from digits_jax.images.errors import ImageError as ImageError
from digits_jax.images.errors import TooLargeError as TooLargeError
from digits_jax.images.errors import raise_as_image_error, too_large_message
from digits_jax.images.pdf import DEFAULT_DPI, File, count_pdf_pages, is_pdf, render_pdf_page

# Pillow's modes of one channel with more than 8 bits.
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
WHITE_IS_ZERO = 0  # a value of TIFF's tag PhotometricInterpretation

# Larger files are not opened. Pillow's own limit, of pixels, is `PIL.Image.MAX_IMAGE_PIXELS`. Set
# both to read more.
MAX_FILE_BYTES = 2**30

Source = str | Path | bytes | bytearray | memoryview | Image.Image | ArrayLike


def read_image(
    source: Source, *, page: int = 0, colour: bool = False, dpi: int | float = DEFAULT_DPI
) -> UInt8[np.ndarray, "h w *channels"]:
    """Reads an image as 8-bit grey values, or as colours for `normalise`.

    EXIF orientation is applied. Grey is the luma 0.299 R + 0.587 G + 0.114 B. Transparent parts
    become black, as paper around bright ink. With `colour`, they become white if the opaque part is
    mostly dark.

    Args:
      source: one of
        - a path of a PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF file, or of any other format of
          Pillow; with the extras [pdf] and [heif] also of a PDF or HEIC file;
        - the bytes of such a file;
        - a PIL image, of which the current frame is read;
        - an array, or anything that NumPy converts to one, `[h, w]` or `[h, w, c]` with 1 to 4
          channels (grey, grey and alpha, RGB, RGBA): float in 0–1, uint16 in 0–65535, bool, or any
          other integers in 0–255.
      page: number of a page of a TIFF or PDF file, or of a frame of another file, from 0.
      colour: whether to return colours if the image has any.
      dpi: pixels per inch at which a page of a PDF file is rendered.

    Returns:
      `[h, w]` uint8, 0 black and 255 white; or, if `colour` is set and the image has colours,
      `[h, w, 3]` uint8, RGB.

    Raises:
      TooLargeError: the image has more pixels than Pillow's limit.
      ImageError: the file does not exist, is damaged or larger than `MAX_FILE_BYTES`, or the array
        has another shape, type or range.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        _check_file_size(path)
        return _read_file(str(path), lambda: path.open("rb"), page, colour, dpi)
    if isinstance(source, bytes | bytearray | memoryview):
        return _read_file("the data", lambda: BytesIO(source), page, colour, dpi)
    if isinstance(source, Image.Image):
        with raise_as_image_error("the image"):
            return _upright_pixels(source, colour)
    return _read_array(source, colour)


def count_pages(path: Path) -> int:
    """Returns the number of pages of a TIFF or PDF file, and 1 for files of other formats.

    Raises:
      ImageError: the file cannot be read.
    """
    if not path.is_file():  # a pipe could not be read again
        return 1
    with raise_as_image_error(str(path)), path.open("rb") as file:
        if is_pdf(file):
            return count_pdf_pages(str(path), file)
        with _open_image(str(path), file) as image:
            return int(image.n_frames) if image.format == "TIFF" else 1  # type: ignore[attr-defined]


def _check_file_size(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0  # what is missing is reported later
    if size > MAX_FILE_BYTES:
        raise ImageError(
            f"{path} is too large: expected a file of at most {MAX_FILE_BYTES:,} bytes, got "
            f"{size:,}; raise the limit with --max-file-mib, in units of 2²⁰ bytes (in Python: "
            "digits_jax.images.read.MAX_FILE_BYTES)"
        )


def _read_file(
    name: str, open_file: Callable[[], File], page: int, colour: bool, dpi: int | float
) -> UInt8[np.ndarray, "h w *channels"]:
    # Given a path, Pillow 13 memory-maps uncompressed TIFF files, and scrambles those whose
    # orientation is sideways.
    with raise_as_image_error(name), open_file() as file:
        if is_pdf(file):
            return _pixels(Image.fromarray(render_pdf_page(name, file, page, dpi)), colour)
        with _open_image(name, file) as image:
            if page:
                image.seek(page)
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise TooLargeError(too_large_message(name, f"{image.width * image.height:,}"))
            return _upright_pixels(image, colour)


def _open_image(name: str, file: File) -> Image.Image:
    try:
        return Image.open(file)
    except UnidentifiedImageError as error:
        if not file.seekable():
            raise ImageError(
                f"{name} cannot be read: expected an image file in a pipe, in a format that Pillow "
                "reads, got another; write it to a file, and name that"
            ) from error
        opened = heif.identify(name, file)
        if opened is None:
            raise ImageError(_unidentified_message(name, file.read(8))) from error
        return opened


def _unidentified_message(name: str, first_bytes: bytes) -> str:
    if not first_bytes:
        return f"{name} is empty: expected an image file, got 0 bytes; get it again"
    return (
        f"{name} is not an image: expected a file in a format that Pillow reads (PNG, JPEG, WebP, "
        f"TIFF, …), got one that begins {first_bytes!r}; convert it, or if it was cut off, get it "
        "again"
    )


def _upright_pixels(image: Image.Image, colour: bool) -> UInt8[np.ndarray, "h w *channels"]:
    """Returns the pixels of an image, with its EXIF orientation applied."""
    inverted = _is_inverted(image)  # the copy that `exif_transpose` returns has no TIFF tags
    pixels = _pixels(ImageOps.exif_transpose(image), colour)
    return 255 - pixels if inverted else pixels


def _is_inverted(image: Image.Image) -> bool:
    """Returns whether Pillow's pixels of an image are those of its negative.

    Pillow inverts TIFF pages that store white as 0 if they have 1 to 8 bits, and leaves 16-bit and
    float pages as they are. It takes a missing tag as WhiteIsZero.
    """
    tags = getattr(image, "tag_v2", None)  # of TIFF's current page
    if tags is None or image.mode not in DEEP_MODES:
        return False
    return bool(tags.get(PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO) == WHITE_IS_ZERO)


def _pixels(image: Image.Image, colour: bool) -> UInt8[np.ndarray, "h w *channels"]:
    if 0 in image.size:
        raise ValueError(f"no pixels, {image.width} × {image.height} of them")
    if image.mode in DEEP_MODES:
        return _deep_pixels(image)
    if image.mode == "LAB":  # Pillow converts it to no other mode; its L is the lightness
        return np.array(image.getchannel("L"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = "white" if colour and _is_dark(image) else "black"
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return np.array(image.convert("RGB" if colour and image.mode not in ("1", "L") else "L"))


def _is_dark(image: Image.Image) -> bool:
    """Returns whether the mean luma of an RGBA image, weighted by alpha, is below 127.5."""
    alpha = np.asarray(image.getchannel("A"), np.float64)
    return bool((np.asarray(image.convert("L")) * alpha).sum() < 127.5 * alpha.sum())


def _deep_pixels(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    white = 1 if image.mode == "F" else 65535  # Pillow reads 16-bit PGM as "I", of 32 bits
    values = np.array(image)
    transparent = image.info.get("transparency")  # the transparent grey value of a PNG
    if transparent is not None:
        values[values == transparent] = 0
    return _scale_to_uint8(values, white)


def _scale_to_uint8(values: np.ndarray, white: int) -> UInt8[np.ndarray, "..."]:
    """Returns 255 values / white, rounded, where Pillow's conversion would clip at 255.

    Raises:
      ValueError: there are values below 0 or above white.
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
            white = 65535 if values.dtype == np.uint16 else 255
            values = _scale_to_uint8(values, white if values.dtype.kind in "ui" else 1)
    except (TypeError, ValueError) as error:
        raise ImageError(
            "an array cannot be read as an image: expected [h, w] or [h, w, c] of 1 to 4 channels, "
            f"float in 0–1, uint16 in 0–65535, bool, or integers in 0–255; got {error}"
        ) from error
    if channels == 1:
        return values.reshape(values.shape[:2]).copy()
    return _pixels(Image.fromarray(np.ascontiguousarray(values)), colour)
