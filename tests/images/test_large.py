"""Images of which rows are read: what TIFF, .npy and zarr files of each kind hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from digits_jax.images.ink_rows import GreyRows, NormalisedRows
from digits_jax.images.large import count_tiff_pages, is_read_by_rows, open_large_image
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.images.read import ImageError, read_image

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (120, 90)).astype(np.uint8)
RGB = RNG.integers(0, 256, (120, 90, 3)).astype(np.uint8)
DEEP = RNG.integers(0, 65536, (120, 90)).astype(np.uint16)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (GREY, {}),
        (GREY, {"tile": (32, 48), "compression": "zlib"}),
        (GREY, {"tile": (32, 48), "compression": "lzw", "predictor": True}),
        (GREY, {"tile": (16, 16), "bigtiff": True}),
        (GREY, {"rowsperstrip": 7, "compression": "packbits"}),
        (GREY, {"photometric": "miniswhite", "tile": (32, 32)}),
        (GREY, {"byteorder": ">", "bigtiff": True}),
        (RGB, {"tile": (32, 48), "compression": "zlib"}),
        (RGB, {"rowsperstrip": 11}),
        (DEEP, {"tile": (32, 48), "byteorder": ">"}),
        (DEEP, {"photometric": "miniswhite"}),
        (GREY > 99, {}),
    ],
)
@pytest.mark.parametrize("colour", [False, True])
def test_rows_of_tiff_files_are_those_that_pillow_reads(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], colour: bool
) -> None:
    """Also in a second page, and rows with a step."""
    path = tmp_path / "scan.tif"
    header: dict[str, Any] = {key: options.get(key) for key in ("byteorder", "bigtiff")}
    options = {key: value for key, value in options.items() if key not in header}
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    with tifffile.TiffWriter(path, **header) as file:
        file.write(np.zeros((5, 6), np.uint8))
        file.write(pixels, **options)
    if is_read_by_rows(path):  # Pillow does not read it
        expected = read_image(pixels, colour=colour)
    else:
        expected = read_image(path, page=1, colour=colour)
    assert count_tiff_pages(path) == 2
    with open_large_image(path, 1) as image:
        assert image.shape == expected.shape[:2] == (120, 90)
        np.testing.assert_array_equal(image.read(slice(0, 120), colour=colour), expected)
        np.testing.assert_array_equal(image.read(slice(31, 97), colour=colour), expected[31:97])
        np.testing.assert_array_equal(image.read(slice(3, 80, 9), colour=colour), expected[3:80:9])


@pytest.mark.parametrize("pixels", [GREY, RGB, DEEP, GREY / np.float32(255), GREY > 99])
@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_rows_of_arrays_are_those_of_the_array(
    tmp_path: Path, pixels: np.ndarray, suffix: str
) -> None:
    path = tmp_path / f"scan{suffix}"
    if suffix == ".npy":
        np.save(path, pixels)
    else:
        chunks = (32, 50, 3)[: pixels.ndim]
        zarr.create_array(path, data=pixels, chunks=chunks, shards=tuple(2 * c for c in chunks))
    assert is_read_by_rows(path)
    with open_large_image(path) as image:
        found = image.read(slice(10, 77), colour=True)
    np.testing.assert_array_equal(found, read_image(pixels[10:77], colour=True))


def test_arrays_of_zarr_2_are_read(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", data=GREY, chunks=(50, 50), zarr_format=2)
    with open_large_image(tmp_path / "a") as image:
        np.testing.assert_array_equal(image.read(slice(45, 60)), GREY[45:60])


def test_codecs_that_could_run_code_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    """A codec's name in the metadata is enough, also inside a shard."""
    first, second = tmp_path / "v2", tmp_path / "v3"
    zarr.create_array(first, data=GREY, chunks=(50, 50), zarr_format=2)
    zarr.create_array(second, data=GREY, chunks=(25, 25), shards=(50, 50))
    metadata = json.loads((first / ".zarray").read_text())
    (first / ".zarray").write_text(json.dumps({**metadata, "filters": [{"id": "strange"}]}))
    metadata = json.loads((second / "zarr.json").read_text())
    metadata["codecs"][0]["configuration"]["codecs"].append({"name": "numcodecs.strange"})
    (second / "zarr.json").write_text(json.dumps(metadata))
    for path in (first, second):
        with pytest.raises(ImageError, match="hold data alone, got strange"):
            open_large_image(path).__enter__()


def test_what_cannot_be_read_in_strips_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "four.npy", np.zeros((4, 4, 4), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    np.save(tmp_path / "cut.npy", GREY)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-50])
    zarr.create_group(tmp_path / "group")
    zarr.create_array(tmp_path / "huge", shape=(9000, 9000), chunks=(9000, 9000), dtype="u1")
    tifffile.imwrite(tmp_path / "turned.tif", GREY, extratags=[(274, "H", 1, 6, True)])
    tifffile.imwrite(tmp_path / "planes.tif", np.zeros((3, 8, 9), np.uint8), photometric="rgb")
    Image.fromarray(GREY).convert("P").save(tmp_path / "palette.tif")
    for name, message in {
        "four.npy": "1 or 3 channels; got [4, 4, 4]",
        "objects.npy": "cannot be read as an image",
        "cut.npy": "cannot be read as an image",
        "group": "name one that is in it",
        "huge": "got 9,000 × 9,000",
        "turned.tif": "orientation 6; rotate",
        "planes.tif": "axes SYX",
        "palette.tif": "got PALETTE",
    }.items():
        with pytest.raises(ImageError) as caught:
            open_large_image(tmp_path / name).__enter__()
        assert message in str(caught.value), name
    np.save(tmp_path / "range.npy", np.full((4, 4), 300))
    with (
        open_large_image(tmp_path / "range.npy") as image,
        pytest.raises(ImageError, match="integers in 0–255; got pixels of 300"),
    ):
        image.read(slice(0, 2))


def test_a_truncated_tile_is_an_image_error(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        offset, size = page.dataoffsets[-1], page.databytecounts[-1]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + size] = bytes(size)
    (tmp_path / "a.tif").write_bytes(content)
    with open_large_image(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.read(slice(0, 32)), GREY[:32])
        with pytest.raises(ImageError, match=r"a\.tif cannot be read"):
            image.read(slice(100, 120))


@pytest.mark.parametrize("shape", [(700, 301), (90, 400, 3), (28, 28), (1, 50), (333, 1)])
@pytest.mark.parametrize("block_pixels", [1, 5000, 2**20])
def test_normalised_rows_are_those_of_the_whole_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], block_pixels: int
) -> None:
    """On paper that grows darker downwards, with strokes of ink."""
    monkeypatch.setattr("digits_jax.images.ink_rows.BLOCK_PIXELS", block_pixels)
    light = np.linspace(250, 120, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    pixels = light + RNG.normal(0, 3, shape)
    pixels[shape[0] // 3 : shape[0] // 3 + 4, ::7] *= 0.3
    pixels = pixels.clip(0, 255).astype(np.uint8)
    np.save(tmp_path / "page.npy", pixels)
    expected = normalise(pixels)
    with open_large_image(tmp_path / "page.npy") as image:
        rows = NormalisedRows(image)
        np.testing.assert_array_equal(rows.read(0, shape[0]), expected)
        begin, end = shape[0] // 4, shape[0] // 2 + 1
        np.testing.assert_array_equal(rows.read(begin, end), expected[begin:end])
        assert rows.is_ink_on_black == is_ink_on_black(pixels)
        np.testing.assert_array_equal(GreyRows(image).read(0, end), read_image(pixels)[:end])


def test_whether_ink_is_on_black_is_counted_over_all_rows(tmp_path: Path) -> None:
    for black in (49, 50):
        pixels = np.full((100, 20), 200, np.uint8)
        pixels[-black:] = 8
        np.save(tmp_path / "half.npy", pixels)
        with open_large_image(tmp_path / "half.npy") as image:
            assert NormalisedRows(image).is_ink_on_black == is_ink_on_black(pixels) == (black == 50)
