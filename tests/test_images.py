import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits_jax.images import ImageError, read_image

RAMP = np.linspace(0, 255, 24 * 40).round().astype(np.uint8).reshape(24, 40)
GREY = Image.fromarray(RAMP)


def written(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def differs_by(path: Path, expected: np.ndarray = RAMP) -> int:
    """The largest difference from what was drawn, in grey levels."""
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.shape == expected.shape
    return int(np.abs(read.astype(int) - expected).max())


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.pgm", "a.tga"])
def test_grey_without_loss_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    assert differs_by(written(tmp_path, GREY, name)) == 0


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.jp2"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_formats_are_read_within_their_loss(tmp_path: Path, name: str, mode: str) -> None:
    assert differs_by(written(tmp_path, GREY.convert(mode), name, quality=95)) <= 6


def test_a_path_may_be_a_string_and_a_name_may_lie(tmp_path: Path) -> None:
    path = written(tmp_path, GREY, "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(str(path)), RAMP)


def test_what_is_read_can_be_written_to(tmp_path: Path) -> None:
    read_image(written(tmp_path, GREY, "a.png"))[0, 0] = 9


@pytest.mark.parametrize(
    ("colour", "grey"),
    [("red", 76), ("lime", 150), ("blue", 29), ("white", 255), ("black", 0), ("#808080", 128)],
)
def test_colours_become_their_luma(tmp_path: Path, colour: str, grey: int) -> None:
    """0.299 R + 0.587 G + 0.114 B, in RGB as through a palette."""
    image = Image.new("RGB", (5, 3), colour)
    assert differs_by(written(tmp_path, image, "a.png"), np.full((3, 5), grey)) <= 1
    palette = image.quantize(4)
    assert palette.mode == "P"
    assert differs_by(written(tmp_path, palette, "p.png"), np.full((3, 5), grey)) <= 1
    assert differs_by(written(tmp_path, palette, "p.gif"), np.full((3, 5), grey)) <= 1


def test_bright_ink_stays_bright(tmp_path: Path) -> None:
    ink = np.zeros((9, 9), np.uint8)
    ink[2:7, 4] = 255
    np.testing.assert_array_equal(read_image(written(tmp_path, Image.fromarray(ink), "a.png")), ink)
    light = written(tmp_path, Image.fromarray(255 - ink), "b.png")
    np.testing.assert_array_equal(read_image(light), 255 - ink)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_one_bit(tmp_path: Path, name: str) -> None:
    image = GREY.point(lambda value: 255 * (value > 99), mode="1")
    assert differs_by(written(tmp_path, image, name), np.where(RAMP > 99, 255, 0)) == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_scaled_rather_than_clipped(tmp_path: Path, name: str) -> None:
    deep = np.linspace(0, 65535, 24 * 40).round().astype(np.uint16).reshape(24, 40)
    path = written(tmp_path, Image.fromarray(deep), name)
    assert differs_by(path, np.rint(deep / 257).astype(int)) == 0
    assert np.unique(read_image(path)).size == 256


def test_sixteen_bits_of_the_other_byte_order(tmp_path: Path) -> None:
    deep = (RAMP.astype(np.uint16) * 257).byteswap()
    image = Image.frombytes("I;16B", GREY.size, deep.tobytes())
    assert differs_by(written(tmp_path, image, "a.tif")) == 0


def test_floats_of_0_to_1(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(RAMP.astype(np.float32) / 255), "a.tif")
    assert differs_by(path) == 0


@pytest.mark.parametrize("values", [[-1, 0], [0, 70_000], [0.0, 200.0], [np.nan, 0.0]])
def test_values_without_a_known_white_are_refused(tmp_path: Path, values: list[float]) -> None:
    dtype = np.int32 if isinstance(values[1], int) else np.float32
    path = written(tmp_path, Image.fromarray(np.array([values], dtype)), "a.tif")
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
    assert differs_by(written(tmp_path, image, name, **options), expected) <= 1


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16"])
def test_one_transparent_colour_is_black(tmp_path: Path, mode: str) -> None:
    ramp = np.repeat(np.array([[10, 100, 200]], np.uint8), 4, axis=0)
    image, transparent = Image.fromarray(ramp).convert("RGB"), (100, 100, 100)
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
        path = written(tmp_path, image, "a.png", transparency=100 * 257)
    elif mode == "RGB":
        path = written(tmp_path, image, "a.png", transparency=transparent)
    elif mode == "P":
        image = image.quantize(4)
        index = image.getpixel((1, 0))
        path = written(tmp_path, image, "a.png", transparency=index)
    else:
        path = written(tmp_path, image.convert("L"), "a.png", transparency=100)
    assert differs_by(path, np.where(ramp == 100, 0, ramp)) <= 1


def test_cmyk(tmp_path: Path) -> None:
    path = written(tmp_path, GREY.convert("RGB").convert("CMYK"), "a.jpg", quality=95)
    assert Image.open(path).mode == "CMYK"
    assert differs_by(path) <= 6


def test_lab(tmp_path: Path) -> None:
    flat = Image.new("L", GREY.size, 128)
    assert differs_by(written(tmp_path, Image.merge("LAB", (GREY, flat, flat)), "a.tif")) == 0


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stored_on_their_side_are_turned_upright(
    tmp_path: Path, name: str, orientation: int
) -> None:
    """By the EXIF standard's eight orientations, from what each says of row 0 and column 0."""
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
    assert differs_by(written(tmp_path, image, name, exif=exif, quality=95)) <= 6


def test_the_first_of_several_frames_is_read(tmp_path: Path) -> None:
    black = Image.new("L", GREY.size)
    for name in ("a.gif", "a.tif"):
        path = written(tmp_path, GREY, name, save_all=True, append_images=[black])
        assert differs_by(path) == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.gif", "a.pgm"])
def test_a_file_that_was_cut_off(tmp_path: Path, name: str, share: float) -> None:
    path = written(tmp_path, GREY.resize((64, 64)), name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} .*expected.*got"):
        read_image(path)


def test_a_file_that_was_cut_off_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(ImageError, match=r"a\.png is not an image: .*cut off"):
        read_image(path)


def test_what_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("shopping list")
    with pytest.raises(ImageError, match=r"notes\.png is not an image: .*begins b'shopping'"):
        read_image(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageError, match=r"a\.png is empty: .*0 bytes"):
        read_image(tmp_path / "a.png")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png does not exist: expected an image file"):
        read_image(tmp_path / "none.png")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^{re.escape(str(tmp_path))} is a folder"):
        read_image(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 50_000])
def test_a_decompression_bomb(tmp_path: Path, side: int) -> None:
    """A file of 100 bytes that says it is 10⁸ pixels, where Pillow warns, and 25 · 10⁸."""
    header = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, side, side, 1, 24, *6 * [0])
    (tmp_path / "a.bmp").write_bytes(header)
    with pytest.raises(ImageError, match=f"at most 89,478,485 pixels, got {side**2:,};"):
        read_image(tmp_path / "a.bmp")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_metadata_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, GREY, "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0", quality=95)
    assert differs_by(path) <= 6
