"""`read_image`: files that cannot be read, and the messages that say why."""

import re
import struct
from pathlib import Path

import pytest
from image_files import GREY, max_difference, save_image

from digits_jax.images import read
from digits_jax.images.read import ImageError, read_image


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.gif", "a.pgm"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = save_image(tmp_path, GREY.resize((64, 64)), name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} .*expected.*got"):
        read_image(path)


def test_a_file_truncated_in_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(ImageError, match=r"a\.png is not an image: .*cut off"):
        read_image(path)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("shopping list")
    with pytest.raises(ImageError, match=r"notes\.png is not an image: .*begins b'shopping'"):
        read_image(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageError, match=r"a\.png is empty: .*0 bytes"):
        read_image(tmp_path / "a.png")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png does not exist: expected an image file"):
        read_image(tmp_path / "none.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^{re.escape(str(tmp_path))} is a folder"):
        read_image(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 50_000])
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    """A file of 100 bytes that says it is 10⁸ pixels, where Pillow warns, and 25 · 10⁸."""
    header = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, side, side, 1, 24, *6 * [0])
    (tmp_path / "a.bmp").write_bytes(header)
    with pytest.raises(ImageError, match=f"at most 89,478,485 pixels, got {side**2:,};"):
        read_image(tmp_path / "a.bmp")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_metadata_is_ignored(tmp_path: Path) -> None:
    path = save_image(tmp_path, GREY, "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0", quality=95)
    assert max_difference(path) <= 6


def test_a_file_that_is_too_large_is_told_from_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are of less than a MiB."""
    (tmp_path / "a.png").write_bytes(bytes(3 * 2**18))
    monkeypatch.setattr(read, "MAX_FILE_BYTES", 2**18)
    with pytest.raises(ImageError, match=r"at most 262,144 bytes, got 786,432; .*--max-file-mib"):
        read_image(tmp_path / "a.png")
