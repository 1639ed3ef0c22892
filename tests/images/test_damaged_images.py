"""Files of each format that are truncated or have flipped bits are read or refused."""

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import COLOURS, GREY, RAMP
from PIL import Image

from digits_jax.images.read import ImageError, count_pages, read_image

COLOUR = Image.fromarray(COLOURS)
EXIF = Image.Exif()
EXIF[0x0112] = 6
KINDS: dict[str, tuple[Image.Image, dict[str, Any]]] = {
    "grey.png": (GREY, {"exif": EXIF}),
    "palette.png": (COLOUR.quantize(16), {"transparency": 3}),
    "deep.png": (Image.fromarray(RAMP.astype(np.uint16) * 257), {"transparency": 257}),
    "moving.png": (GREY, {"save_all": True, "append_images": [COLOUR.convert("L")]}),
    "grey.jpg": (GREY, {"exif": EXIF}),
    "progressive.jpg": (COLOUR, {"progressive": True}),
    "cmyk.jpg": (COLOUR.convert("CMYK"), {}),
    "lossy.webp": (COLOUR, {"exif": EXIF}),
    "transparent.webp": (COLOUR.convert("RGBA"), {"lossless": True}),
    "moving.webp": (COLOUR, {"save_all": True, "append_images": [GREY.convert("RGB")]}),
    "plain.tif": (GREY, {"exif": EXIF}),
    "pages.tif": (GREY, {"save_all": True, "append_images": [COLOUR, GREY]}),
    "packed.tif": (COLOUR, {"compression": "tiff_lzw"}),
    "fax.tif": (GREY.convert("1"), {"compression": "group4"}),
    "jpeg.tif": (COLOUR, {"compression": "jpeg"}),
    "float.tif": (Image.fromarray(RAMP.astype(np.float32) / 255), {}),
    "grey.bmp": (GREY, {}),
    "transparent.bmp": (COLOUR.convert("RGBA"), {}),
    "moving.gif": (GREY, {"save_all": True, "append_images": [COLOUR.convert("L")]}),
    "grey.pgm": (GREY, {}),
}


def encoded(name: str) -> bytes:
    image, options = KINDS[name]
    appended = [other.copy() for other in options.get("append_images", ())]
    file = BytesIO()
    file.name = name  # Pillow takes the format from the suffix
    image.copy().save(file, **{**options, "append_images": appended})
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@st.composite
def damages(draw: st.DrawFn, data: bytes) -> bytes:
    """Flips bits, mostly in the header, and truncates."""
    damaged = bytearray(data)
    positions = st.integers(0, len(data) - 1) | st.integers(0, min(99, len(data) - 1))
    for position, bit in draw(st.lists(st.tuples(positions, st.integers(0, 7)), max_size=8)):
        damaged[position] ^= 1 << bit
    return bytes(damaged[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=20_000)  # ms, so that a hang fails
@given(source=st.data())
def test_a_damaged_file_is_read_or_refused(folder: Path, name: str, source: st.DataObject) -> None:
    data = source.draw(damages(encoded(name)))
    path = folder / name
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        pages = read_or_message(count_pages, path)
        for page in range(pages if isinstance(pages, int) else 1):
            image = read_or_message(read_image, path, page=page)
            if isinstance(image, str):
                assert image.startswith(str(path))
            else:
                assert image.dtype == np.uint8
                assert image.ndim == 2
                assert image.size > 0
                again = read_image(data, page=page)
                assert again.shape == image.shape
                # Pixels that libtiff cannot decode are uninitialised memory.
                if name not in ("fax.tif", "jpeg.tif"):
                    np.testing.assert_array_equal(again, image)


def read_or_message(read: Callable[..., Any], path: Path, **options: Any) -> Any:
    """Returns what is read, or the message of the refusal."""
    try:
        return read(path, **options)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("name", KINDS)
def test_the_undamaged_file_is_read(folder: Path, name: str) -> None:
    image = read_image(encoded(name))
    path = folder / f"undamaged.{name}"
    path.write_bytes(encoded(name))
    np.testing.assert_array_equal(read_image(path), image)
    assert image.shape == ((24, 40) if "exif" not in KINDS[name][1] else (40, 24))
