"""HEIC pictures, written by libheif, and AVIF pictures, written by Pillow."""

import os
from pathlib import Path
from threading import Thread

import numpy as np
import pillow_heif
import pytest
from image_files import COLOURS, GREY, RAMP, max_difference, save_image
from mnist_cases import pretend_installed
from PIL import Image

from digits_jax.images.folders import Page, list_pages
from digits_jax.images.read import ImageError, TooLargeError, count_pages, read_image

LOSSLESS = -1  # pillow_heif's quality
ORIENTATION = 0x0112  # EXIF's tag


def save_heic(path: Path, image: Image.Image, **options: object) -> Path:
    pillow_heif.from_pillow(image).save(path, quality=LOSSLESS, **options)
    return path


def test_heic_has_the_pixels_that_were_written_whatever_its_name(tmp_path: Path) -> None:
    assert max_difference(save_heic(tmp_path / "a.heic", GREY)) == 0
    assert max_difference(save_heic(tmp_path / "b.png", GREY.convert("RGB"))) <= 1
    colours = read_image(save_heic(tmp_path / "c.heif", Image.fromarray(COLOURS)), colour=True)
    assert np.abs(colours.astype(int) - COLOURS).max() <= 12  # chroma is halved
    deep = save_heic(tmp_path / "d.hif", Image.fromarray(RAMP.astype(np.uint16) * 257))
    assert max_difference(deep) <= 1
    assert count_pages(deep) == 1
    assert max_difference(tmp_path / "a.heic") == 0
    np.testing.assert_array_equal(read_image((tmp_path / "a.heic").read_bytes()), RAMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_and_avif_are_turned_as_jpeg_is(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = read_image(save_image(tmp_path, GREY, "a.png", exif=exif))
    heic = save_heic(tmp_path / "a.heic", GREY, exif=exif.tobytes())
    assert max_difference(heic, upright) == 0
    avif = save_image(tmp_path, GREY, "a.avif", exif=exif, quality=100)
    assert max_difference(avif, upright) <= 2
    avif.rename(tmp_path / "avif.heic")
    assert max_difference(tmp_path / "avif.heic", upright) <= 2


def test_of_several_pictures_the_primary_one_is_read(tmp_path: Path) -> None:
    file = pillow_heif.HeifFile()
    for value in (10, 90, 200):
        file.add_from_pillow(Image.new("L", (40, 24), value))
    file.save(tmp_path / "a.heic", quality=LOSSLESS, primary_index=1)
    assert list(list_pages([tmp_path / "a.heic"])) == [Page(tmp_path / "a.heic")]
    assert (read_image(tmp_path / "a.heic") == 90).all()


def test_damaged_pictures_are_refused(tmp_path: Path) -> None:
    heic = save_heic(tmp_path / "a.heic", GREY).read_bytes()
    avif = save_image(tmp_path, GREY, "a.avif").read_bytes()
    for data in (heic, avif):
        for cut in (len(data) - 20, len(data) // 2, 40, 12):
            with pytest.raises(ImageError):
                read_image(data[:cut])
    with pytest.raises(ImageError, match="is not an image"):
        read_image(b"\0\0\0\x1cftypqt  " + bytes(40))


def test_too_many_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_heic(tmp_path / "a.heic", GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RAMP.size)
    assert read_image(path).shape == RAMP.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RAMP.size - 1)
    with pytest.raises(TooLargeError, match="raise the limit with --max-megapixels"):
        read_image(path)


def test_without_pillow_heif_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_heic(tmp_path / "a.heic", GREY)
    pretend_installed(monkeypatch, "pillow_heif", False)
    (page,) = list_pages([path])
    assert str(page.error) == (
        f"{path} is a HEIF picture (.heic), for which the package pillow_heif is missing: install "
        "the extra, as with pip install 'digits-jax[heif]'"
    )
    assert max_difference(save_image(tmp_path, GREY, "a.avif", quality=100)) <= 2


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """PDF and HEIC files are refused there: they would have to be read twice."""
    os.mkfifo(tmp_path / "pipe")
    heic = save_heic(tmp_path / "a.heic", GREY)
    png = save_image(tmp_path, GREY, "a.png")
    for path in (png, heic):
        writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(path.read_bytes(),))
        writer.start()
        if path == png:
            assert max_difference(tmp_path / "pipe") == 0
        else:
            with pytest.raises(ImageError, match="in a pipe"):
                read_image(tmp_path / "pipe")
        writer.join()
