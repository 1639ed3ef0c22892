"""`read_image`: formats, depths, colours, transparency and orientation of files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from image_files import COLOURS, GREY, LUMA, RAMP, max_difference, save_image
from PIL import Image

from digits_jax import images
from digits_jax.images.read import ImageError, read_image


def test_the_package_re_exports_read_image_and_its_error() -> None:
    assert images.read_image is read_image
    assert images.ImageError is ImageError


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.pgm", "a.tga"])
def test_lossless_grey_files_are_read_exactly(tmp_path: Path, name: str) -> None:
    assert max_difference(save_image(tmp_path, GREY, name)) == 0


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.jp2"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_files_are_read_to_6_grey_levels(tmp_path: Path, name: str, mode: str) -> None:
    assert max_difference(save_image(tmp_path, GREY.convert(mode), name, quality=95)) <= 6


@pytest.mark.parametrize(
    ("colour", "grey"),
    [("red", 76), ("lime", 150), ("blue", 29), ("white", 255), ("black", 0), ("#808080", 128)],
)
def test_colours_become_their_luma_to_1_grey_level(tmp_path: Path, colour: str, grey: int) -> None:
    """0.299 R + 0.587 G + 0.114 B, in RGB as through a palette."""
    image = Image.new("RGB", (5, 3), colour)
    assert max_difference(save_image(tmp_path, image, "a.png"), np.full((3, 5), grey)) <= 1
    palette = image.quantize(4)
    assert palette.mode == "P"
    assert max_difference(save_image(tmp_path, palette, "p.png"), np.full((3, 5), grey)) <= 1
    assert max_difference(save_image(tmp_path, palette, "p.gif"), np.full((3, 5), grey)) <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.tga", "a.webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossless_colour_files_are_read_as_luma(tmp_path: Path, name: str, mode: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    image = Image.fromarray(COLOURS).convert(mode)
    assert max_difference(save_image(tmp_path, image, name, **options), LUMA) <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.tga"])
def test_palette_files_are_read_as_luma(tmp_path: Path, name: str) -> None:
    image = Image.new("P", (40, 24))
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    image.putdata(RAMP.ravel().tolist())
    path = save_image(tmp_path, image, name)
    assert Image.open(path).mode == "P"
    levels = RAMP.astype(float)
    assert max_difference(path, 0.299 * levels + 0.587 * (255 - levels) + 0.114 * 7) <= 1


def test_png_of_16_bits_a_channel_is_read_as_luma(tmp_path: Path) -> None:
    """Pillow writes no such PNG, so the test builds one: a header, deflated rows, an end."""
    deep = (COLOURS.astype(">u2") * 257).tobytes()
    rows = b"".join(b"\0" + deep[k : k + 240] for k in range(0, len(deep), 240))

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 40, 24, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    assert max_difference(tmp_path / "a.png", LUMA) <= 1


def test_grey_values_are_not_inverted(tmp_path: Path) -> None:
    ink = np.zeros((9, 9), np.uint8)
    ink[2:7, 4] = 255
    np.testing.assert_array_equal(
        read_image(save_image(tmp_path, Image.fromarray(ink), "a.png")), ink
    )
    light = save_image(tmp_path, Image.fromarray(255 - ink), "b.png")
    np.testing.assert_array_equal(read_image(light), 255 - ink)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_1_bit_becomes_0_and_255(tmp_path: Path, name: str) -> None:
    image = GREY.point(lambda value: 255 * (value > 99), mode="1")
    assert max_difference(save_image(tmp_path, image, name), np.where(RAMP > 99, 255, 0)) == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path: Path, name: str) -> None:
    deep = np.linspace(0, 65535, 24 * 40).round().astype(np.uint16).reshape(24, 40)
    path = save_image(tmp_path, Image.fromarray(deep), name)
    assert max_difference(path, np.rint(deep / 257).astype(int)) == 0
    assert np.unique(read_image(path)).size == 256


def test_big_endian_16_bits_are_scaled(tmp_path: Path) -> None:
    deep = (RAMP.astype(np.uint16) * 257).byteswap()
    image = Image.frombytes("I;16B", GREY.size, deep.tobytes())
    assert max_difference(save_image(tmp_path, image, "a.tif")) == 0


def test_float_in_0_to_1_is_scaled(tmp_path: Path) -> None:
    path = save_image(tmp_path, Image.fromarray(RAMP.astype(np.float32) / 255), "a.tif")
    assert max_difference(path) == 0


@pytest.mark.parametrize("values", [[-1, 0], [0, 70_000], [0.0, 200.0], [np.nan, 0.0]])
def test_values_outside_the_range_of_their_type_are_refused(
    tmp_path: Path, values: list[float]
) -> None:
    dtype = np.int32 if isinstance(values[1], int) else np.float32
    path = save_image(tmp_path, Image.fromarray(np.array([values], dtype)), "a.tif")
    with pytest.raises(ImageError, match="where 0 is black and"):
        read_image(path)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_transparent_parts_are_black(tmp_path: Path, mode: str, name: str) -> None:
    image = Image.new("L", (20, 6), 200).convert(mode)
    alpha = np.zeros((6, 20), np.uint8)
    alpha[:, 4:8], alpha[:, 8:] = 128, 255
    image.putalpha(Image.fromarray(alpha))
    if name == "a.webp":
        image = image.convert("RGBA")
    options = {"lossless": True} if name == "a.webp" else {}
    expected = np.rint(200 * (alpha / 255))
    assert max_difference(save_image(tmp_path, image, name, **options), expected) <= 1


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16"])
def test_a_transparent_colour_is_black(tmp_path: Path, mode: str) -> None:
    ramp = np.repeat(np.array([[10, 100, 200]], np.uint8), 4, axis=0)
    image, transparent = Image.fromarray(ramp).convert("RGB"), (100, 100, 100)
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
        path = save_image(tmp_path, image, "a.png", transparency=100 * 257)
    elif mode == "RGB":
        path = save_image(tmp_path, image, "a.png", transparency=transparent)
    elif mode == "P":
        image = image.quantize(4)
        index = image.getpixel((1, 0))
        path = save_image(tmp_path, image, "a.png", transparency=index)
    else:
        path = save_image(tmp_path, image.convert("L"), "a.png", transparency=100)
    assert max_difference(path, np.where(ramp == 100, 0, ramp)) <= 1


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_becomes_its_luma(tmp_path: Path, name: str) -> None:
    path = save_image(tmp_path, GREY.convert("RGB").convert("CMYK"), name, quality=95)
    assert Image.open(path).mode == "CMYK"
    assert max_difference(path) <= 6


def test_lab_becomes_its_lightness(tmp_path: Path) -> None:
    flat = Image.new("L", GREY.size, 128)
    assert (
        max_difference(save_image(tmp_path, Image.merge("LAB", (GREY, flat, flat)), "a.tif")) == 0
    )


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, name: str, orientation: int) -> None:
    """Each of the standard's eight values says which sides row 0 and column 0 are."""
    stored = {
        1: RAMP,
        2: RAMP[:, ::-1],
        3: RAMP[::-1, ::-1],
        4: RAMP[::-1],
        5: RAMP.T,
        6: RAMP.T[::-1],
        7: RAMP.T[::-1, ::-1],
        8: RAMP.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    assert max_difference(save_image(tmp_path, image, name, exif=exif, quality=95)) <= 6


def test_colours_are_returned_if_requested_and_present(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8) + np.array([10, 200, 30], np.uint8)
    png = save_image(tmp_path, Image.fromarray(picture), "a.png")
    np.testing.assert_array_equal(read_image(png, colour=True), picture)
    np.testing.assert_array_equal(read_image(picture, colour=True), picture)
    palette = Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(
        read_image(save_image(tmp_path, palette, "a.gif"), colour=True), picture
    )
    assert read_image(picture[..., 0], colour=True).shape == (4, 5)
    assert read_image(save_image(tmp_path, GREY, "grey.png"), colour=True).ndim == 2
    assert read_image(png).ndim == 2


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (80, 255), (200, 0)])
def test_transparent_paper_contrasts_with_the_ink_if_colours_are_requested(
    ink: int, paper: int
) -> None:
    drawn = np.zeros((6, 8, 4), np.uint8)
    drawn[2:4, 3:5] = ink, ink, ink, 255
    expected = np.full((6, 8, 3), paper)
    expected[2:4, 3:5] = ink
    np.testing.assert_array_equal(read_image(drawn, colour=True), expected)
    assert read_image(drawn)[0, 0] == 0
