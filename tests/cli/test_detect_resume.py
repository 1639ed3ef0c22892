"""`digits-jax detect --resume`: interrupted and finished runs that continue."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import exit_status, fake_detect_each, one_digit, read_json_lines, save_image
from PIL import Image

from digits_jax.cli import detect as detect_command
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import read_pages
from digits_jax.images.folders import Page

KILLED_RUN = Path(__file__).parents[1] / "killed_run.py"
PIXELS = np.zeros((40, 50), np.uint8)

pytestmark = [
    pytest.mark.usefixtures("pretrained", "fake_detector"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def test_a_run_continues_from_a_part_cut_at_any_byte(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after every line and inside lines; nothing is lost, repeated, or read again."""
    output, part = tmp_path / "results.jsonl", tmp_path / "results.jsonl.part"
    assert exit_status("detect", scans, "--output", output) == 1
    whole = output.read_bytes()
    pages_read: list[Page] = []

    def recorded(pages: Iterable[Page]) -> Iterator[Page]:
        for page in pages:
            pages_read.append(page)
            yield page

    def read_recorded_pages(pages: Iterable[Page], **options: Any) -> Iterator[Any]:
        return read_pages(recorded(pages), **options)

    monkeypatch.setattr(detect_command, "read_pages", read_recorded_pages)
    ends = [k for k in range(len(whole) + 1) if k == 0 or whole[k - 1 : k] == b"\n"]
    for cut in sorted({*ends, *(end + 1 for end in ends[:-1]), *range(3, len(whole), 97)}):
        output.unlink()
        part.write_bytes(whole[:cut])
        pages_read.clear()
        assert exit_status("detect", scans, "--output", output, "--resume") == 1
        assert output.read_bytes() == whole
        assert not part.exists()
        assert len(pages_read) == 9 - whole[:cut].count(b"\n")
        assert "4 of 7 images could not be read" in capsys.readouterr().err


def test_resume_adds_new_images_to_a_finished_file(scans: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.jsonl"
    run = ("detect", scans, "--output", output, "--resume")
    assert exit_status(*run) == 1
    whole = output.read_bytes()
    assert exit_status(*run) == 1
    assert output.read_bytes() == whole
    save_image(scans / "another.png", PIXELS)
    assert exit_status(*run) == 1
    assert output.read_bytes().startswith(whole)
    (row,) = read_json_lines(output)[9:]
    assert row["image"] == str(scans / "another.png")


def test_the_part_of_an_interrupted_run_is_kept_until_it_is_resumed(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves it and names it, and a run without --resume refuses to replace it."""
    output, part = tmp_path / "results.jsonl", tmp_path / "results.jsonl.part"

    def interrupted(detector: Detector, images: Any) -> Iterator[Any]:
        yield from fake_detect_each(one_digit())(detector, [next(images)])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Detector, "detect_each", interrupted)
        assert exit_status("detect", scans, "--output", output) == 130
    message = capsys.readouterr().err
    assert f"{part} holds the finished results; continue with --resume" in message
    assert [row["image"] for row in read_json_lines(part)] == [str(scans / "a.png")]
    assert exit_status("detect", scans, "--output", output) == 1
    assert f"digits-jax: {part} holds what an interrupted run has finished" in (
        capsys.readouterr().err
    )
    assert not output.exists()
    assert exit_status("detect", scans, "--output", output, "--resume") == 1
    assert len(read_json_lines(output)) == 9
    assert "1 of 7 images are finished; continuing" in capsys.readouterr().err


def test_a_part_that_holds_other_lines_is_refused_and_kept(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "results.jsonl.part"
    part.write_text("a diary\n")
    assert exit_status("detect", scans, "--output", tmp_path / "results.jsonl", "--resume") == 1
    assert f"digits-jax: {part} cannot be continued" in capsys.readouterr().err
    assert part.read_text() == "a diary\n"


@pytest.mark.slow
def test_a_run_killed_three_times_continues(tmp_path: Path) -> None:
    """Killed by SIGKILL after the first line, between the pages of a file, and later."""
    for k in range(200):
        save_image(tmp_path / f"scans/{k:03}.png", PIXELS)
    pages = Image.fromarray(PIXELS)
    pages.save(tmp_path / "scans/090.tif", save_all=True, append_images=9 * [pages])
    output, part = tmp_path / "results.jsonl", tmp_path / "results.jsonl.part"
    arguments = ("detect", tmp_path / "scans", "--output", output, "--resume")
    command = [sys.executable, *map(str, (KILLED_RUN, *arguments))]
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
    results = [(Path(row["image"]).name, row.get("page")) for row in read_json_lines(output)]
    names = [f"{k:03}.png" for k in range(200)]
    expected = [
        *((name, None) for name in names[:90]),
        ("090.png", None),
        *(("090.tif", page) for page in range(10)),
        *((name, None) for name in names[91:]),
    ]
    assert results == expected
