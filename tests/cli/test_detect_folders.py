"""`digits-jax detect` on folders of scans: pages, unreadable files, output formats, memory."""

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_status, read_json_lines, save_image
from PIL import Image

from digits_jax.cli import detect as detect_command
from digits_jax.cli.arguments import LoadedModel
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.version import __version__

PIXELS = np.zeros((40, 50), np.uint8)

pytestmark = [
    pytest.mark.usefixtures("pretrained", "fake_detector"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def test_each_page_has_a_json_object_in_the_order_of_the_pages(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", scans) == 1
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    named = [
        (Path(row["image"]).relative_to(scans).as_posix(), row.get("page"), "error" in row)
        for row in rows
    ]
    assert named == [
        ("a.png", None, False),
        ("b/cut.png", None, True),
        ("b/whole.png", None, False),
        ("c.jpg", None, True),
        ("d.tif", None, True),
        ("e.bmp", None, True),
        ("f.tiff", 0, False),
        ("f.tiff", 1, False),
        ("f.tiff", 2, False),
    ]
    assert list(rows[0]) == ["image", "width", "height", "detections"]
    assert list(rows[1]) == ["image", "error"]
    assert list(rows[6]) == ["image", "page", "width", "height", "detections"]
    assert [row["height"] for row in rows[-3:]] == [10, 11, 12]
    messages = printed.err.splitlines()
    assert messages[:4] == [f"digits-jax: {row['error']}" for row in rows if "error" in row]
    assert messages[4:] == ["digits-jax: 4 of 7 images could not be read"]
    reasons = ("cannot be read", "is empty", "is not an image", "is too large")
    assert all(reason in line for reason, line in zip(reasons, messages[:4], strict=True))


def test_an_unreadable_page_leaves_the_other_pages_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second page has float values, whose white is unknown."""
    bad = Image.fromarray(np.full((10, 20), 7, np.float32))
    pages = Image.fromarray(PIXELS)
    pages.save(tmp_path / "a.tif", save_all=True, append_images=[bad, pages])
    assert exit_status("detect", tmp_path / "a.tif") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["page"], "error" in row) for row in rows] == [(0, False), (1, True), (2, False)]


def test_each_page_has_an_annotated_picture_of_its_own(scans: Path, tmp_path: Path) -> None:
    """The pictures' folder lies in the searched one, and its pictures are not searched later."""
    save_image(scans / "f-page1.png", PIXELS)
    pictures = scans / "annotated"
    written = {"a.png", "whole.png", "f-page1.png", "f-page0.png", "f-page1-2.png", "f-page2.png"}
    for _ in range(2):
        output = tmp_path / "results.jsonl"
        assert exit_status("detect", scans, "--annotate", pictures, "--output", output) == 1
        assert {path.name for path in pictures.iterdir()} == written
        assert len(read_json_lines(output)) == 10
    assert Image.open(pictures / "f-page1.png").width == Image.open(pictures / "a.png").width


def test_read_adds_lines_of_digits(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("detect", scans / "a.png", "--read") == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["5"]


def test_coco_and_csv_hold_the_same_in_a_file_as_on_standard_output(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unreadable images are reported on standard error only."""
    for output_format in ("coco", "csv"):
        options, output = ("--format", output_format), tmp_path / output_format
        assert exit_status("detect", scans, *options) == 1
        printed = capsys.readouterr()
        assert "4 of 7 images could not be read" in printed.err
        assert exit_status("detect", scans, *options, "--output", output) == 1
        assert output.read_text() == printed.out
        assert "cut.png" not in printed.out
    results = json.loads((tmp_path / "coco").read_text())
    assert [row["image_id"] for row in results] == [0, 2, 6, 7, 8]
    rows = list(csv.DictReader((tmp_path / "csv").open()))
    assert [Path(row["image"]).name for row in rows] == ["a.png", "whole.png", *3 * ["f.tiff"]]
    assert [row["page"] for row in rows] == ["0", "0", "0", "1", "2"]


def test_label_studio_gets_the_addresses_and_the_name_of_the_weights(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--format", "label-studio", "--image-url", "http://host/")
    assert exit_status("detect", scans, *options, "--output", tmp_path / "tasks.json") == 1
    assert "Label Studio does not show 3 of the pages" in capsys.readouterr().err
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"].get("page") for task in tasks] == [None, None, 0, 1, 2]
    assert tasks[0]["data"]["image"] == f"http://host{scans}/a.png"
    (prediction,) = tasks[0]["predictions"]
    assert prediction["model_version"] == f"digits-jax {__version__} pretrained"
    assert prediction["result"][0]["value"] == {
        "x": 2,
        "y": 5,
        "width": 4,
        "height": 5,
        "rotation": 0,
        "rectanglelabels": ["5"],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "--output with --resume"),
        (["--read", "--format", "csv"], "--format jsonl with --read"),
        (["--resume", "--output", "a", "--format", "coco"], "got coco"),
        (["--image-url", "http://a/"], "--format label-studio with --image-url; got jsonl"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    scans: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", scans, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line


def test_a_folder_without_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", tmp_path) == 1
    assert f"digits-jax: {tmp_path} holds no images" in capsys.readouterr().err


def test_detect_holds_only_a_few_images_of_1000_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of 64 KiB each, of which only those that are read ahead are in memory at once."""
    image = save_image(tmp_path / "image.png", np.zeros((256, 256), np.uint8))
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(1000):
        (folder / f"{k}.png").hardlink_to(image)
    model = LoadedModel({}, DEFAULT_CONFIG)  # real parameters take 20 MiB
    monkeypatch.setattr(detect_command, "load_model", lambda _: model)
    assert exit_status("detect", image, "--output", tmp_path / "one.jsonl") == 0  # imports modules
    tracemalloc.start()
    # Normalising takes some MiB in each thread, whatever the number of images.
    output = tmp_path / "results.jsonl"
    assert exit_status("detect", folder, "--output", output, "--no-normalise") == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(read_json_lines(output)) == 1000
    assert peak < 16 * 2**20  # the images together have 62 MiB
