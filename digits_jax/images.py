"""Image files as arrays of grey values."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # more than 8 bits a pixel, one channel


class ImageError(Exception):
    """A file that cannot be read as an image; the message says why and what to do."""


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """Reads any image file that Pillow reads as grey values, as they are: ink has to be bright.

    Colours become their luma, transparent parts black, and 16 bits a pixel become 8. An image
    that a camera stored on its side is turned upright. Of several frames the first is read.

    Args:
      path: a PNG, JPEG, WebP, TIFF, BMP or GIF file, or any other of Pillow's formats.

    Returns:
      `[h, w]` uint8, 0 black and 255 white.

    Raises:
      ImageError: there is no such file, or it is no whole image of a size that Pillow takes.
    """
    path = Path(path)
    try:
        # Given a path, Pillow 13 maps uncompressed TIFF and scrambles it if it is on its side.
        with path.open("rb") as file, Image.open(file) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise ImageError(_too_large(path, f"{image.width * image.height:,}"))
            return _grey(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))  # Pillow counts them, and says so nowhere else
        got = f"{int(pixels[0]):,}" if pixels else str(error)
        raise ImageError(_too_large(path, got)) from error
    except FileNotFoundError as error:
        raise ImageError(
            f"{path} does not exist: expected an image file; check the path"
        ) from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{path} is a folder: expected an image file; name one that is in it"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(_unidentified(path)) from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise ImageError(
            f"{path} cannot be read as an image: expected a whole and undamaged file, got: "
            f"{reason}; get it again, or convert it to PNG"
        ) from error


def _unidentified(path: Path) -> str:
    with path.open("rb") as file:
        beginning = file.read(8)
    if not beginning:
        return f"{path} is empty: expected an image file, got 0 bytes; get it again"
    return (
        f"{path} is not an image: expected a file in a format that Pillow reads (PNG, JPEG, WebP, "
        f"TIFF, …), got one that begins {beginning!r}; convert it, or if it was cut off, get it "
        "again"
    )


def _too_large(path: Path, got: str) -> str:
    return (
        f"{path} is too large: expected at most {Image.MAX_IMAGE_PIXELS:,} pixels, got {got}; "
        "scale it down or cut it up"
    )


def _grey(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    if image.mode in DEEP_MODES:
        return _eight_bits(image)
    if image.mode == "LAB":  # which Pillow converts to nothing else; its L is the lightness
        return np.array(image.getchannel("L"))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.array(image.convert("L"))


def _eight_bits(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    """Scaled by what white is: 65535 among integers, 1 among floats. Pillow would clip at 255.

    Raises:
      ValueError: there are values below black or above white.
    """
    white = 1 if image.mode == "F" else 65535  # "I", of 32 bits, is how Pillow reads 16-bit PGM
    values = np.asarray(image).astype(np.float64)
    if not ((values >= 0) & (values <= white)).all():
        raise ValueError(
            f"pixels of {values.min():g} to {values.max():g}, where 0 is black and {white} white"
        )
    transparent = image.info.get("transparency")  # a PNG's grey value that stands for nothing
    if transparent is not None:
        values[values == transparent] = 0
    return np.rint(values * (255 / white)).astype(np.uint8)
