"""HEIC and HEIF pictures, as phones take them, by libheif (the extra [heif])."""

from io import BufferedReader, BytesIO

from PIL import Image

from digits_jax.images.errors import ImageError
from digits_jax.images.extras import require

# The brands of a file of the ISO base media format that say which codec its pictures have. AVIF is
# read by Pillow, if it was built so.
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
AVIF_BRANDS = (b"avif", b"avis")
ANY_CODEC_BRANDS = (b"mif1", b"msf1")


def identify(name: str, file: BufferedReader | BytesIO) -> Image.Image | None:
    """Opens a picture in a format that Pillow does not read, without decoding it.

    Args:
      name: of the file, for messages.
      file: the open file, at any position.

    Returns:
      The picture, upright: libheif turns it as the file says. None if the file has another format.

    Raises:
      ImageError: a package that reads it is missing.
      SyntaxError: the file is damaged.
    """
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    brand = head[8:] if head[4:8] == b"ftyp" else b""
    if brand in AVIF_BRANDS:
        raise ImageError(
            f"{name} cannot be read: expected an undamaged AVIF file, and a Pillow that reads "
            "AVIF, as its wheels do; get the file again, or install Pillow anew"
        )
    if brand not in (*HEIF_BRANDS, *ANY_CODEC_BRANDS):
        return None
    opened: Image.Image = require(
        "pillow_heif", "heif", f"{name} is a HEIF picture (.heic)"
    ).HeifImageFile(file)
    return opened
