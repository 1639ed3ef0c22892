import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from digits_jax.images.read import ImageError, Source, count_pages, read_image

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


COLOURS = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
LUMA = (COLOURS @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.tga", "a.webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_without_loss(tmp_path: Path, name: str, mode: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    image = Image.fromarray(COLOURS).convert(mode)
    assert differs_by(written(tmp_path, image, name, **options), LUMA) <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.tga"])
def test_a_palette_of_colours(tmp_path: Path, name: str) -> None:
    image = Image.new("P", (40, 24))
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    image.putdata(RAMP.ravel().tolist())
    path = written(tmp_path, image, name)
    assert Image.open(path).mode == "P"
    levels = RAMP.astype(float)
    assert differs_by(path, 0.299 * levels + 0.587 * (255 - levels) + 0.114 * 7) <= 1


def test_sixteen_bits_a_colour(tmp_path: Path) -> None:
    """Pillow writes no such PNG, so here is its format: a header, the rows deflated, an end."""
    deep = (COLOURS.astype(">u2") * 257).tobytes()
    rows = b"".join(b"\0" + deep[k : k + 240] for k in range(0, len(deep), 240))

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 40, 24, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    assert differs_by(tmp_path / "a.png", LUMA) <= 1


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


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, GREY.convert("RGB").convert("CMYK"), name, quality=95)
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


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.png", "a.webp"])
def test_the_first_of_several_frames_is_read(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    black = Image.new("L", GREY.size)
    path = written(tmp_path, GREY, name, save_all=True, append_images=[black], **options)
    assert Image.open(path).n_frames == 2  # type: ignore[attr-defined]
    assert differs_by(path) == 0
    assert count_pages(path) == (2 if name == "a.tif" else 1)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_pages_of_any_size_and_kind(tmp_path: Path, compression: str | None) -> None:
    """Each is turned upright by what is said of it alone."""
    ink = np.where(RAMP > 99, 255, 0).astype(np.uint8)
    pages = [GREY, Image.fromarray(COLOURS[:10]), Image.fromarray(ink).convert("1")]
    on_its_side = Image.fromarray(np.ascontiguousarray(RAMP.T[::-1]))
    on_its_side.encoderinfo = {"tiffinfo": {274: 6}}
    pages.append(on_its_side)
    options = {"save_all": True, "append_images": pages[1:], "compression": compression}
    path = written(tmp_path, GREY, "a.tif", **options)
    assert count_pages(path) == 4
    for source in (path, path.read_bytes()):
        for page, expected in enumerate([RAMP, LUMA[:10], ink, RAMP]):
            read = read_image(source, page=page)
            assert np.abs(read.astype(int) - expected).max() <= 1
    with pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        read_image(path, page=4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_a_page_that_is_missing_makes_the_pages_uncountable(tmp_path: Path) -> None:
    path = written(tmp_path, GREY, "a.tif", save_all=True, append_images=[GREY, GREY])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        count_pages(path)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file(tmp_path: Path, kind: Callable[[bytes], Source]) -> None:
    data = written(tmp_path, GREY, "a.png").read_bytes()
    np.testing.assert_array_equal(read_image(kind(data)), RAMP)
    for wrong, said in ((b"", "is empty"), (b"list", "not an image"), (data[:99], "damaged")):
        with pytest.raises(ImageError, match=f"^the data .*{said}"):
            read_image(kind(wrong))


def test_pils_images(tmp_path: Path) -> None:
    """Upright, at the frame where they stand, and left as they are."""
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = Image.fromarray(np.ascontiguousarray(RAMP[::-1, ::-1]))
    with Image.open(written(tmp_path, turned, "a.png", exif=exif)) as image:
        np.testing.assert_array_equal(read_image(image), RAMP)
        np.testing.assert_array_equal(np.asarray(image), RAMP[::-1, ::-1])
    path = written(tmp_path, GREY, "a.tif", save_all=True, append_images=[turned.copy()])
    with Image.open(path) as image:
        image.seek(1)
        np.testing.assert_array_equal(read_image(image), RAMP[::-1, ::-1])
        assert image.tell() == 1
    with Image.open(path) as closed:
        pass
    with pytest.raises(ImageError, match=r"^the image cannot be read"):
        read_image(closed)
    with pytest.raises(ImageError, match="no pixels"):
        read_image(Image.new("L", (0, 4)))


@pytest.mark.parametrize(
    "array",
    [
        RAMP,
        RAMP[..., None],
        RAMP.tolist(),
        RAMP.astype(np.int64),
        RAMP.astype(np.uint16) * 257,
        RAMP / 255,
        np.float32(RAMP) / 255,
        jnp.asarray(RAMP),
        np.dstack([RAMP] * 3),
        np.dstack([RAMP / 255] * 3),
        np.dstack([RAMP, np.full_like(RAMP, 255)]),
        np.dstack([RAMP] * 3 + [np.full_like(RAMP, 255)]),
        np.flip(np.flip(RAMP)),
    ],
)
def test_arrays(array: Source) -> None:
    read = read_image(array)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RAMP)
    assert not np.shares_memory(read, array)


def test_arrays_of_truth_and_with_transparency() -> None:
    np.testing.assert_array_equal(read_image(RAMP > 99), np.where(RAMP > 99, 255, 0))
    half = np.dstack([np.full_like(RAMP, 200), RAMP])
    assert np.abs(read_image(half).astype(int) - 200 * (RAMP / 255)).max() <= 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("array", "got"),
    [
        ([[0, 256]], "pixels of 0 to 256"),
        ([[-1, 0]], "pixels of -1 to 0"),
        ([[0.0, 1.5]], "pixels of 0 to 1.5"),
        ([[float("nan"), 0.0]], "pixels of nan"),
        ([1, 2, 3], r"int64 \[3\]"),
        (np.zeros((2, 3, 5)), r"float64 \[2, 3, 5\]"),
        (np.zeros((0, 3)), r"float64 \[0, 3\]"),
        (np.zeros((2, 3), complex), r"complex128 \[2, 3\]"),
        ([[1], [1, 2]], "sequence"),
        (None, r"object \[\]"),
        ({"a": 1}, r"object \[\]"),
    ],
)
def test_what_is_no_array_of_grey_or_colours(array: Any, got: str) -> None:
    with pytest.raises(ImageError, match=f"expected .* got .*{got}"):
        read_image(array)


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


def test_colours_are_kept_where_there_are_any(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8) + np.array([10, 200, 30], np.uint8)
    png = written(tmp_path, Image.fromarray(picture), "a.png")
    np.testing.assert_array_equal(read_image(png, colour=True), picture)
    np.testing.assert_array_equal(read_image(picture, colour=True), picture)
    palette = Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(
        read_image(written(tmp_path, palette, "a.gif"), colour=True), picture
    )
    assert read_image(picture[..., 0], colour=True).shape == (4, 5)
    assert read_image(written(tmp_path, GREY, "grey.png"), colour=True).ndim == 2
    assert read_image(png).ndim == 2


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (80, 255), (200, 0)])
def test_paper_that_is_transparent_is_what_ink_shows_on(ink: int, paper: int) -> None:
    drawn = np.zeros((6, 8, 4), np.uint8)
    drawn[2:4, 3:5] = ink, ink, ink, 255
    expected = np.full((6, 8, 3), paper)
    expected[2:4, 3:5] = ink
    np.testing.assert_array_equal(read_image(drawn, colour=True), expected)
    assert read_image(drawn)[0, 0] == 0
