"""TIFF pages whose PhotometricInterpretation is WhiteIsZero are read with white as 255."""

import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import RAMP
from PIL import Image

from digits_jax.images.read import ImageError, read_image

WHITE_IS_ZERO = {262: 0}
BLACK_IS_ZERO = {262: 1}
STORED: dict[str, np.ndarray] = {  # what a WhiteIsZero page stores to show RAMP
    "uint16": (255 - RAMP).astype(np.uint16) * 257,
    "float32": 1 - RAMP.astype(np.float32) / 255,
}


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("dtype", STORED)
def test_deep_white_is_zero_is_inverted(
    tmp_path: Path, dtype: str, compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    image = Image.fromarray(STORED[dtype])
    image.save(path, tiffinfo=WHITE_IS_ZERO, compression=compression)
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_image(source), RAMP)
        np.testing.assert_array_equal(read_image(source, colour=True), RAMP)


@pytest.mark.parametrize("dtype", STORED)
def test_deep_black_is_zero_is_not_inverted(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(STORED[dtype]).save(path, tiffinfo=BLACK_IS_ZERO)
    np.testing.assert_array_equal(read_image(path), 255 - RAMP)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_1_and_8_bits_white_is_zero_are_inverted_once(tmp_path: Path, mode: str) -> None:
    """Pillow inverts them when it writes and when it reads."""
    path = tmp_path / "a.tif"
    image = Image.fromarray(RAMP).convert(mode)
    image.save(path, tiffinfo=WHITE_IS_ZERO)
    with Image.open(path) as stored:
        assert stored.tag_v2[262] == 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read_image(path), np.array(image.convert("L")))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_white_is_zero_of_any_bit_depth_is_inverted(bits: int) -> None:
    """The page is written by hand: eight pixels, 0 white and the largest value black."""
    largest = 2**bits - 1
    values = [0, largest] * 4
    if bits == 16:
        data = np.array(values, "<u2").tobytes()
    else:
        data = np.packbits([v >> b & 1 for v in values for b in reversed(range(bits))]).tobytes()
    shown = read_image(tiff(data, width=8, bits=bits))
    np.testing.assert_array_equal(shown, [[255, 0] * 4])


def test_16_bits_without_photometric_interpretation_are_read_as_8_bits_are() -> None:
    """Pillow takes a missing tag as WhiteIsZero."""
    eight = read_image(tiff(bytes([0, 51, 255]), width=3, bits=8, photometric=None))
    deep = np.array([0, 51 * 257, 65535], "<u2").tobytes()
    sixteen = read_image(tiff(deep, width=3, bits=16, photometric=None))
    np.testing.assert_array_equal(eight, [[255, 204, 0]])
    np.testing.assert_array_equal(sixteen, eight)


def tiff(data: bytes, *, width: int, bits: int, photometric: int | None = 0) -> bytes:
    """Returns a TIFF file of one uncompressed row: header, pixels, directory."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1}
    tags[279] = len(data)
    entries = [(tag, value) for tag, value in tags.items() if value is not None]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    pixels = data + b"\0" * (len(data) % 2)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    return header + pixels + struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)


def test_each_page_is_inverted_by_its_own_tag(tmp_path: Path) -> None:
    pages = [Image.fromarray(STORED[dtype]) for dtype in ("uint16", "uint16", "float32")]
    for page, tags in zip(pages, (WHITE_IS_ZERO, BLACK_IS_ZERO, WHITE_IS_ZERO), strict=True):
        page.encoderinfo = {"tiffinfo": tags}
    path = tmp_path / "a.tif"
    pages[0].save(path, tiffinfo=WHITE_IS_ZERO, save_all=True, append_images=pages[1:])
    for number, expected in enumerate((RAMP, 255 - RAMP, RAMP)):
        np.testing.assert_array_equal(read_image(path, page=number), expected)
    with Image.open(path) as image:
        for number, expected in ((1, 255 - RAMP), (0, RAMP), (2, RAMP)):
            image.seek(number)
            np.testing.assert_array_equal(read_image(image), expected)


@pytest.mark.parametrize("dtype", STORED)
def test_a_pil_image_with_the_tag_is_inverted_and_left_unchanged(
    tmp_path: Path, dtype: str
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(STORED[dtype]).save(path, tiffinfo=WHITE_IS_ZERO)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(image), RAMP)
        np.testing.assert_array_equal(read_image(image), RAMP)
        np.testing.assert_array_equal(np.asarray(image), STORED[dtype])


def test_a_sideways_white_is_zero_page_is_turned_and_inverted(tmp_path: Path) -> None:
    """Orientation 6: the stored first row is the right side, so RAMP is stored turned left."""
    stored = np.ascontiguousarray(STORED["uint16"].T[::-1])
    path = tmp_path / "a.tif"
    Image.fromarray(stored).save(path, tiffinfo={**WHITE_IS_ZERO, 274: 6})
    np.testing.assert_array_equal(read_image(path), RAMP)


def test_float_white_is_zero_outside_0_to_1_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[0, 200]], np.float32)).save(path, tiffinfo=WHITE_IS_ZERO)
    with pytest.raises(ImageError, match="where 0 is black and 1 white"):
        read_image(path)
