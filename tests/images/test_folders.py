"""Which images a command is given, and which pages they have."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import saved
from PIL import Image

from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError

PIXELS = np.zeros((4, 4), np.uint8)


def touched(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_folders_are_searched_sorted_and_each_image_is_listed_once(tmp_path: Path) -> None:
    images = touched(tmp_path, "a/1.png", "a/2.JPG", "a/b/c/0.tiff", "b.webp", "c.bmp", "d.gif")
    touched(tmp_path, "notes.txt", "a/scan", "found.jsonl", "film.mpeg", "data.h5", "paper.pdf")
    touched(tmp_path, ".hidden.png", ".folder/a.png", "a/._2.jpg")
    assert list_images([tmp_path]) == images
    first = tmp_path / "c.bmp"
    others = [image for image in images if image != first]
    assert list_images([first, tmp_path, first]) == [first, *others]
    assert list_images([tmp_path / "a", tmp_path / "b.webp"]) == images[:4]
    assert list_images([tmp_path / ".folder"]) == [tmp_path / ".folder/a.png"]  # it is asked for


def test_a_file_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    files = [tmp_path / "scan", tmp_path / ".hidden", tmp_path / "none.png"]
    assert list_images(files) == files


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    """A pipe would wait for ever; what a broken link means is missing, and is to be told."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "none.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "folder.png").mkdir()
    assert list_images([tmp_path]) == [tmp_path / "lost.png"]


def test_the_folder_of_the_pictures_is_left_out(tmp_path: Path) -> None:
    (image, _) = touched(tmp_path, "a.png", "found/a.png")
    assert list_images([tmp_path], but=tmp_path / "x" / ".." / "found") == [image]
    assert list_images([tmp_path / "found"], but=tmp_path / "found") == [tmp_path / "found/a.png"]


def test_no_images_are_an_error(tmp_path: Path) -> None:
    (notes,) = touched(tmp_path, "in/notes.txt")
    with pytest.raises(ImageError, match="in holds no images: expected files that end in"):
        list_images([notes.parent])
    assert list_images([notes.parent, notes]) == [notes]


def test_a_folder_that_may_not_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError, match="locked"):
        list_images([tmp_path])


def test_pages_are_counted_where_there_are_several(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.png", PIXELS)
    several, moving, single = (tmp_path / name for name in ("several.tif", "a.gif", "one.tif"))
    image, others = Image.fromarray(PIXELS), 2 * [Image.new("L", (4, 4), 99)]
    image.save(several, save_all=True, append_images=others)
    image.save(moving, save_all=True, append_images=others)
    image.save(single)
    missing = tmp_path / "none.png"
    (bad,) = touched(tmp_path, "empty.png")
    pages = list(list_pages([one, several, moving, missing, bad, single]))
    assert [page[:2] for page in pages] == [
        (one, None),
        *((several, k) for k in range(3)),
        (moving, None),
        (missing, None),
        (bad, None),
        (single, None),
    ]
    assert [page.image for page in pages if page.error] == [bad]


def test_pages_are_counted_only_when_they_are_asked_for(tmp_path: Path) -> None:
    def images() -> Iterator[Path]:
        yield saved(tmp_path / "a.png", PIXELS)
        raise AssertionError("asked for too early")

    assert next(list_pages(images())) == Page(tmp_path / "a.png")
