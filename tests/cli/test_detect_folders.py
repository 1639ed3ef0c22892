"""`digits-jax detect` on folders of scans: pages, bad files, interruptions."""

import csv
import json
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import finding, one_digit, saved, status
from PIL import Image

from digits_jax.cli import detect as commands
from digits_jax.detect import batched as stream
from digits_jax.detect import inputs as sheets
from digits_jax.images.folders import Page

KILLED_RUN = Path(__file__).parents[1] / "killed_run.py"
PIXELS = np.zeros((40, 50), np.uint8)

pytestmark = [
    pytest.mark.usefixtures("released", "fake"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of seven files, four of which cannot be read, and of nine pages."""
    folder = tmp_path / "scans"
    saved(folder / "a.png", PIXELS)
    saved(folder / "b/whole.png", PIXELS)
    cut = (folder / "b/whole.png").read_bytes()[:50]
    (folder / "b/cut.png").write_bytes(cut)
    (folder / "c.jpg").touch()
    (folder / "d.tif").write_text("shopping list")
    sides = (50_000, 50_000)
    header = struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, *sides, 1, 24, *6 * [0])
    (folder / "e.bmp").write_bytes(b"BM" + header)
    pages = [Image.fromarray(np.zeros((10 + k, 20), np.uint8)) for k in range(3)]
    pages[0].save(folder / "f.tiff", save_all=True, append_images=pages[1:])
    return folder


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_page_has_an_object_in_its_place(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("detect", scans) == 1
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
    said = printed.err.splitlines()
    assert said[:4] == [f"digits-jax: {row['error']}" for row in rows if "error" in row]
    assert said[4:] == ["digits-jax: 4 of 7 images could not be read"]
    reasons = ("cannot be read", "is empty", "is not an image", "is too large")
    assert all(reason in line for reason, line in zip(reasons, said[:4], strict=True))


def test_a_page_that_cannot_be_read_is_one_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second page of floats that have no known white."""
    bad = Image.fromarray(np.full((10, 20), 7, np.float32))
    pages = Image.fromarray(PIXELS)
    pages.save(tmp_path / "a.tif", save_all=True, append_images=[bad, pages])
    assert status("detect", tmp_path / "a.tif") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["page"], "error" in row) for row in rows] == [(0, False), (1, True), (2, False)]


def test_pages_have_pictures_of_their_own(scans: Path, tmp_path: Path) -> None:
    """In the searched folder, too, where they are not taken for scans the next time."""
    saved(scans / "f-page1.png", PIXELS)
    pictures = scans / "found"
    written = {"a.png", "whole.png", "f-page1.png", "f-page0.png", "f-page1-2.png", "f-page2.png"}
    for _ in range(2):
        output = tmp_path / "found.jsonl"
        assert status("detect", scans, "--annotate", pictures, "--output", output) == 1
        assert {path.name for path in pictures.iterdir()} == written
        assert len(objects(output)) == 10
    assert Image.open(pictures / "f-page1.png").width == Image.open(pictures / "a.png").width


def test_lines_are_read(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("detect", scans / "a.png", "--read") == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["5"]


def test_coco_and_csv(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To standard output and to files; what cannot be read is told on standard error alone."""
    for form in ("coco", "csv"):
        assert status("detect", scans, "--format", form) == 1
        printed = capsys.readouterr()
        assert "4 of 7 images could not be read" in printed.err
        assert status("detect", scans, "--format", form, "--output", tmp_path / form) == 1
        assert (tmp_path / form).read_text() == printed.out
        assert "cut.png" not in printed.out
    found = json.loads((tmp_path / "coco").read_text())
    assert [row["image_id"] for row in found] == [0, 2, 6, 7, 8]
    rows = list(csv.DictReader((tmp_path / "csv").open()))
    assert [Path(row["image"]).name for row in rows] == ["a.png", "whole.png", *3 * ["f.tiff"]]
    assert [row["page"] for row in rows] == ["0", "0", "0", "1", "2"]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--resume"], "--output with --resume"),
        (["--read", "--format", "csv"], "--format jsonl with --read"),
        (["--resume", "--output", "a", "--format", "coco"], "got coco"),
    ],
)
def test_what_does_not_go_together_is_refused(
    scans: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("detect", scans, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert said in line


def test_a_folder_without_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("detect", tmp_path) == 1
    assert f"digits-jax: {tmp_path} holds no images" in capsys.readouterr().err


def test_a_run_goes_on_from_wherever_it_was_cut(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From every line end, and amid lines: nothing is lost, repeated, or read again."""
    output, part = tmp_path / "found.jsonl", tmp_path / "found.jsonl.part"
    assert status("detect", scans, "--output", output) == 1
    whole = output.read_bytes()
    read: list[Page] = []

    def counted(page: Page, read_page: Callable[..., Any] = sheets._read_page, **how: bool) -> Any:
        read.append(page)
        return read_page(page, **how)

    monkeypatch.setattr(sheets, "_read_page", counted)
    ends = [k for k in range(len(whole) + 1) if k == 0 or whole[k - 1 : k] == b"\n"]
    for cut in sorted({*ends, *(end + 1 for end in ends[:-1]), *range(3, len(whole), 97)}):
        output.unlink()
        part.write_bytes(whole[:cut])
        read.clear()
        assert status("detect", scans, "--output", output, "--resume") == 1
        assert output.read_bytes() == whole
        assert not part.exists()
        assert len(read) == 9 - whole[:cut].count(b"\n")
        assert "4 of 7 images could not be read" in capsys.readouterr().err


def test_a_finished_file_is_gone_on_with_where_there_are_new_images(
    scans: Path, tmp_path: Path
) -> None:
    output = tmp_path / "found.jsonl"
    run = ("detect", scans, "--output", output, "--resume")
    assert status(*run) == 1
    whole = output.read_bytes()
    assert status(*run) == 1
    assert output.read_bytes() == whole
    saved(scans / "another.png", PIXELS)
    assert status(*run) == 1
    assert output.read_bytes().startswith(whole)
    (row,) = objects(output)[9:]
    assert row["image"] == str(scans / "another.png")


def test_a_part_is_not_thrown_away(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves it and says so, and only --resume or its owner may do away with it."""
    output, part = tmp_path / "found.jsonl", tmp_path / "found.jsonl.part"

    def interrupted(params: Any, images: Any, **_: Any) -> Iterator[Any]:
        yield from finding(one_digit())(params, [next(images)])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stream, "detect_each", interrupted)
        assert status("detect", scans, "--output", output) == 130
    said = capsys.readouterr().err
    assert f"{part} holds what is finished; --resume goes on with it" in said
    assert [row["image"] for row in objects(part)] == [str(scans / "a.png")]
    assert status("detect", scans, "--output", output) == 1
    assert f"digits-jax: {part} holds what an interrupted run has finished" in (
        capsys.readouterr().err
    )
    assert not output.exists()
    assert status("detect", scans, "--output", output, "--resume") == 1
    assert len(objects(output)) == 9
    assert "1 of 7 images are finished; going on" in capsys.readouterr().err


def test_a_part_of_something_else_is_refused_and_left(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "found.jsonl.part"
    part.write_text("a diary\n")
    assert status("detect", scans, "--output", tmp_path / "found.jsonl", "--resume") == 1
    assert f"digits-jax: {part} cannot be gone on with" in capsys.readouterr().err
    assert part.read_text() == "a diary\n"


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Killed by SIGKILL after its first line, amid a file's pages, and later."""
    for k in range(200):
        saved(tmp_path / f"scans/{k:03}.png", PIXELS)
    pages = Image.fromarray(PIXELS)
    pages.save(tmp_path / "scans/090.tif", save_all=True, append_images=9 * [pages])
    output, part = tmp_path / "found.jsonl", tmp_path / "found.jsonl.part"
    asked = ("detect", tmp_path / "scans", "--output", output, "--resume")
    command = [sys.executable, *map(str, (KILLED_RUN, *asked))]
    before = b""
    for lines in (1, 95, 150):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as run:
            assert run.stderr
            while not part.exists() or part.read_bytes().count(b"\n") < lines:
                assert run.poll() is None, run.stderr.read()
                time.sleep(0.001)
            run.kill()
        assert run.returncode == -signal.SIGKILL
        killed = part.read_bytes()
        assert killed.startswith(before)
        before = killed[: killed.rindex(b"\n") + 1]
    subprocess.run(command, check=True)
    assert output.read_bytes().startswith(before)
    assert not part.exists()
    found = [(Path(row["image"]).name, row.get("page")) for row in objects(output)]
    names = [f"{k:03}.png" for k in range(200)]
    expected = [
        *((name, None) for name in names[:90]),
        ("090.png", None),
        *(("090.tif", page) for page in range(10)),
        *((name, None) for name in names[91:]),
    ]
    assert found == expected


def test_thousands_of_images_take_no_more_memory_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 64 KiB each: no more than those read ahead are held, and what little is said of each."""
    image = saved(tmp_path / "image.png", np.zeros((256, 256), np.uint8))
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(1000):
        (folder / f"{k}.png").hardlink_to(image)
    monkeypatch.setattr(commands, "resolve_weights", lambda _: {})  # they take 20 MiB
    assert status("detect", image, "--output", tmp_path / "one.jsonl") == 0  # imports all it needs
    tracemalloc.start()
    # Normalising takes some MiB for each worker that does it, however many the images.
    assert status("detect", folder, "--output", tmp_path / "found.jsonl", "--no-normalise") == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(objects(tmp_path / "found.jsonl")) == 1000
    assert peak < 16 * 2**20  # where the images are 62
