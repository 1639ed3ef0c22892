"""The image files in folders, and the pages of image files."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import save_image
from PIL import Image

from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError

PIXELS = np.zeros((4, 4), np.uint8)


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_images_of_folders_are_sorted_and_listed_once(tmp_path: Path) -> None:
    images = touch(tmp_path, "a/1.png", "a/2.JPG", "a/b/c/0.tiff", "b.webp", "c.bmp", "d.gif")
    images += touch(tmp_path, "e.pdf", "f.HEIC", "g.heif", "h.hif", "i.avif")
    touch(tmp_path, "notes.txt", "a/scan", "found.jsonl", "film.mpeg", "data.h5")
    touch(tmp_path, ".hidden.png", ".folder/a.png", "a/._2.jpg")
    assert list_images([tmp_path]) == images
    first = tmp_path / "c.bmp"
    others = [image for image in images if image != first]
    assert list_images([first, tmp_path, first]) == [first, *others]
    assert list_images([tmp_path / "a", tmp_path / "b.webp"]) == images[:4]
    assert list_images([tmp_path / ".folder"]) == [
        tmp_path / ".folder/a.png"
    ]  # a hidden folder that is named


def test_a_file_that_is_named_is_listed_whatever_its_suffix(tmp_path: Path) -> None:
    files = [tmp_path / "scan", tmp_path / ".hidden", tmp_path / "none.png"]
    assert list_images(files) == files


def test_pipes_folders_and_links_to_folders_are_left_out(tmp_path: Path) -> None:
    """Reading a pipe would block. A broken link is listed, to be reported as missing."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "none.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "folder.png").mkdir()
    assert list_images([tmp_path]) == [tmp_path / "lost.png"]


def test_an_excluded_folder_is_left_out_unless_it_is_named(tmp_path: Path) -> None:
    (image, _) = touch(tmp_path, "a.png", "found/a.png")
    assert list_images([tmp_path], exclude=[tmp_path / "x" / ".." / "found"]) == [image]
    assert list_images([tmp_path / "found"], exclude=[tmp_path / "found"]) == [
        tmp_path / "found/a.png"
    ]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (notes,) = touch(tmp_path, "in/notes.txt")
    with pytest.raises(ImageError, match="in holds no images: expected files that end in"):
        list_images([notes.parent])
    assert list_images([notes.parent, notes]) == [notes]


def test_a_folder_without_permission_to_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def scandir_refusing_locked(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_refusing_locked)
    with pytest.raises(PermissionError, match="locked"):
        list_images([tmp_path])


def test_pages_of_tiff_are_numbered_and_other_files_have_one(tmp_path: Path) -> None:
    single_png = save_image(tmp_path / "one.png", PIXELS)
    several, moving, single = (tmp_path / name for name in ("several.tif", "a.gif", "one.tif"))
    image, others = Image.fromarray(PIXELS), 2 * [Image.new("L", (4, 4), 99)]
    image.save(several, save_all=True, append_images=others)
    image.save(moving, save_all=True, append_images=others)
    image.save(single)
    missing = tmp_path / "none.png"
    (bad,) = touch(tmp_path, "empty.png")
    pages = list(list_pages([single_png, several, moving, missing, bad, single]))
    assert [page[:2] for page in pages] == [
        (single_png, None),
        *((several, k) for k in range(3)),
        (moving, None),
        (missing, None),
        (bad, None),
        (single, None),
    ]
    assert [page.image for page in pages if page.error] == [bad]


def test_a_file_is_opened_only_when_its_pages_are_requested(tmp_path: Path) -> None:
    def images() -> Iterator[Path]:
        yield save_image(tmp_path / "a.png", PIXELS)
        raise AssertionError("opened too early")

    assert next(list_pages(images())) == Page(tmp_path / "a.png")
