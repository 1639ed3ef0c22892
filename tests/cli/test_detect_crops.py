"""`digits-jax detect --crops`: the digits of pages as pictures to be corrected."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from command_line import exit_status, read_json_lines, save_image
from PIL import Image

from digits_jax.data.scenes import compose
from digits_jax.images.read import read_image

PIXELS = np.zeros((40, 50), np.uint8)


def files(folder: Path) -> dict[str, bytes]:
    """Returns the pictures of a folder with their contents."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")
    }


@pytest.mark.usefixtures("pretrained", "fake_detector")
def test_each_detection_is_a_picture_and_a_row(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder lies in the searched one, and its pictures are not searched."""
    crops, output = scans / "digits", tmp_path / "found.jsonl"
    assert exit_status("detect", scans, "--crops", crops, "--output", output) == 1
    rows = list(csv.DictReader((crops / "crops.csv").open()))
    pages = [row for row in read_json_lines(output) if "error" not in row]
    assert [(row["image"], row["page"], row["label"], row["score"]) for row in rows] == [
        (page["image"], str(page.get("page", 0)), "5", "0.99") for page in pages
    ]
    assert set(files(crops)) == {row["file"] for row in rows}
    assert len(rows) == 5
    crop = read_image(crops / rows[0]["file"])
    assert (crop.shape, crop[10, 14], crop[10, 13]) == ((28, 28), 255, 0)
    before = files(crops)
    assert exit_status("detect", scans, "--crops", crops) == 1
    assert "is not empty" in capsys.readouterr().err
    assert files(crops) == before


@pytest.mark.usefixtures("pretrained", "fake_detector")
def test_an_interrupted_run_is_resumed_with_the_same_files(scans: Path, tmp_path: Path) -> None:
    """Killed after the rows and the pictures of a page, before its result."""
    crops, output = tmp_path / "digits", tmp_path / "found.jsonl"
    run = ("detect", scans, "--crops", crops, "--output", output, "--resume")
    assert exit_status(*run) == 1
    whole, manifest, pictures = output.read_bytes(), crops / "crops.csv", files(crops)
    rows = manifest.read_text().splitlines(keepends=True)
    lines = whole.splitlines(keepends=True)
    searched = [k for k, line in enumerate(lines) if b"error" not in line]
    for count in range(1, len(searched) + 1):
        finished = lines[: searched[count - 1]]
        output.unlink()
        (tmp_path / "found.jsonl.part").write_bytes(b"".join(finished))
        manifest.unlink()
        (crops / "crops.csv.part").write_text("".join(rows[: count + 1]) + "5/torn")
        assert exit_status(*run) == 1
        assert output.read_bytes() == whole
        assert manifest.read_text() == "".join(rows)
        assert files(crops) == pictures
    save_image(scans / "g.png", PIXELS)
    assert exit_status(*run) == 1
    assert files(crops).items() >= pictures.items()
    assert len(files(crops)) == 6


def test_an_image_that_is_read_in_strips_has_the_crops_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = compose("page", "validation", 1, seed=2)[0].image
    tifffile.imwrite(tmp_path / "a.tif", picture)
    assert exit_status("detect", tmp_path / "a.tif", "--crops", tmp_path / "whole") == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", picture.size // 3 - 1)
    assert exit_status("detect", tmp_path / "a.tif", "--crops", tmp_path / "strips") == 0
    assert files(tmp_path / "strips") == files(tmp_path / "whole") != {}


@pytest.mark.usefixtures("pretrained", "fake_detector")
def test_what_cannot_be_combined_is_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("detect", scans / "a.png", "--crops", tmp_path / "digits")
    assert exit_status(*options, "--method", "windows") == 1
    assert "got windows, which does not cut digits out" in capsys.readouterr().err
    assert not (tmp_path / "digits").exists()
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/notes.txt").touch()
    assert exit_status(*options) == 1
    printed = capsys.readouterr()
    assert f"digits-jax: {tmp_path}/digits is not empty" in printed.err
    assert printed.out == ""
    output = ("--output", tmp_path / "found.jsonl")
    assert exit_status("detect", scans / "a.png", *output) == 0
    assert exit_status(*options[:3], tmp_path / "new", *output, "--resume") == 1
    message = capsys.readouterr().err
    assert "that run wrote no digits there (pages in its results: 1)" in message
    assert "with another --output, or leave --crops out" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "found.jsonl", "scans"]
    assert exit_status("detect", scans / "a.png", scans / "b", *output, "--resume") == 1
    assert [page["image"][-5:] for page in read_json_lines(tmp_path / "found.jsonl")] == [
        "a.png",
        "t.png",
        "e.png",
    ]
