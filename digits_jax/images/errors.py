"""The errors of images that cannot be read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from digits_jax.runtime.errors import DigitsJaxError, first_line


class ImageError(DigitsJaxError):
    """An image cannot be read; the message says why, and what to do."""


class TooLargeError(ImageError):
    """An image has more pixels than are read at once."""


@contextmanager
def raise_as_image_error(name: str) -> Iterator[None]:
    """Raises any error of the `with` block as an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))  # only the message holds the number of pixels
        size = f"{int(pixels[0]):,}" if pixels else str(error)
        raise TooLargeError(too_large_message(name, size)) from error
    except FileNotFoundError as error:
        raise ImageError(
            f"{name} does not exist: expected an image file; check the path"
        ) from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{name} is a folder: expected an image file; name a file that is in it"
        ) from error
    except Exception as error:  # Pillow's decoders raise many types for damaged files
        reason = first_line(error)
        raise ImageError(
            f"{name} cannot be read as an image: expected a complete, undamaged file, got: "
            f"{reason}; get it again, or convert it to PNG"
        ) from error


def too_large_message(name: str, size: str) -> str:
    """Returns the message for an image of more pixels than Pillow's limit."""
    return (
        f"{name} is too large: expected at most {Image.MAX_IMAGE_PIXELS:,} pixels, got {size}; "
        "convert it to TIFF for `digits-jax detect`, which reads that in strips; scale it down; or "
        "raise the limit with --max-megapixels (in Python: PIL.Image.MAX_IMAGE_PIXELS)"
    )
