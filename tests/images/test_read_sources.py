"""`read_image`: paths, bytes, pages, PIL images and arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from image_files import COLOURS, GREY, LUMA, RAMP, max_difference, save_image
from PIL import Image

from digits_jax.images.read import ImageError, Source, count_pages, read_image


def test_a_path_may_be_a_string_and_the_suffix_may_be_wrong(tmp_path: Path) -> None:
    path = save_image(tmp_path, GREY, "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(str(path)), RAMP)


def test_the_returned_array_is_writable(tmp_path: Path) -> None:
    read_image(save_image(tmp_path, GREY, "a.png"))[0, 0] = 9


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.png", "a.webp"])
def test_the_first_frame_is_read_and_only_tiff_has_pages(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    black = Image.new("L", GREY.size)
    path = save_image(tmp_path, GREY, name, save_all=True, append_images=[black], **options)
    assert Image.open(path).n_frames == 2  # type: ignore[attr-defined]
    assert max_difference(path) == 0
    assert count_pages(path) == (2 if name == "a.tif" else 1)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_pages_may_differ_in_size_mode_and_orientation(
    tmp_path: Path, compression: str | None
) -> None:
    """Each page is turned upright by its own orientation tag alone."""
    ink = np.where(RAMP > 99, 255, 0).astype(np.uint8)
    pages = [GREY, Image.fromarray(COLOURS[:10]), Image.fromarray(ink).convert("1")]
    on_its_side = Image.fromarray(np.ascontiguousarray(RAMP.T[::-1]))
    on_its_side.encoderinfo = {"tiffinfo": {274: 6}}
    pages.append(on_its_side)
    options = {"save_all": True, "append_images": pages[1:], "compression": compression}
    path = save_image(tmp_path, GREY, "a.tif", **options)
    assert count_pages(path) == 4
    for source in (path, path.read_bytes()):
        for page, expected in enumerate([RAMP, LUMA[:10], ink, RAMP]):
            read = read_image(source, page=page)
            assert np.abs(read.astype(int) - expected).max() <= 1
    with pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        read_image(path, page=4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_pages_of_a_truncated_tiff_cannot_be_counted(tmp_path: Path) -> None:
    path = save_image(
        tmp_path, GREY, "a.tif", save_all=True, append_images=[GREY.copy(), GREY.copy()]
    )
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        count_pages(path)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file_are_read(tmp_path: Path, kind: Callable[[bytes], Source]) -> None:
    data = save_image(tmp_path, GREY, "a.png").read_bytes()
    np.testing.assert_array_equal(read_image(kind(data)), RAMP)
    for wrong, reason in ((b"", "is empty"), (b"list", "not an image"), (data[:99], "damaged")):
        with pytest.raises(ImageError, match=f"^the data .*{reason}"):
            read_image(kind(wrong))


def test_a_pil_image_is_read_at_its_current_frame_and_left_unchanged(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = Image.fromarray(np.ascontiguousarray(RAMP[::-1, ::-1]))
    with Image.open(save_image(tmp_path, turned, "a.png", exif=exif)) as image:
        np.testing.assert_array_equal(read_image(image), RAMP)
        np.testing.assert_array_equal(np.asarray(image), RAMP[::-1, ::-1])
    path = save_image(tmp_path, GREY, "a.tif", save_all=True, append_images=[turned.copy()])
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
def test_arrays_of_any_type_and_channels_are_read_as_copies(array: Source) -> None:
    read = read_image(array)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RAMP)
    assert not np.shares_memory(read, array)


def test_bool_arrays_and_arrays_with_alpha_are_read() -> None:
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
def test_arrays_of_other_shapes_types_and_ranges_are_refused(array: Any, got: str) -> None:
    with pytest.raises(ImageError, match=f"expected .* got .*{got}"):
        read_image(array)
