"""Files of results: written completely, or left to be resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
from page_results import PIXELS, digits, results

from digits_jax.detect.output_formats import page_result, to_jsonl
from digits_jax.detect.result_files import (
    FinishedPages,
    check_output_options,
    read_finished_pages,
    write_results,
)
from digits_jax.images.folders import Page
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.resumable_output import ResumableLines


def test_a_file_name_that_is_not_utf_8_is_written_and_resumed(tmp_path: Path) -> None:
    page = Page(Path("a\udcff.png"))  # as Python names the byte FF
    result = page_result(page, PIXELS.shape, digits([[1, 2, 3, 4]], [0], [0.5]), read=False)
    write_results([result], tmp_path / "jsonl", "jsonl")
    write_results([result], tmp_path / "csv", "csv")
    assert "a�.png,0,0" in (tmp_path / "csv").read_text(encoding="utf-8")
    written = ResumableLines(tmp_path / "jsonl")
    written.check(resume=True)
    assert read_finished_pages(written.earlier(resume=True)).holds(page)


def test_finished_pages_are_read_from_the_part(tmp_path: Path) -> None:
    lines = ResumableLines(tmp_path / "found.jsonl")
    lines.part_path.write_text("".join(f"{line}\n" for line in to_jsonl(results())))
    done = read_finished_pages(lines.parts)
    assert done.unreadable == {"b.png"}
    for page in (Page(Path("a.png")), Page(Path("b.png")), Page(Path("c.tif"), 1)):
        assert done.holds(page)
        assert not FinishedPages().holds(page)
    for page in (Page(Path("c.tif")), Page(Path("c.tif"), 2), Page(Path("d.png"))):
        assert not done.holds(page)


@pytest.mark.parametrize(
    "line", [b'{"image": "b.p\n', b"[1]\n", b'{"name": 1}\n', b"\xff\n", b"\n"]
)
def test_a_part_with_other_lines_is_refused(tmp_path: Path, line: bytes) -> None:
    lines = ResumableLines(tmp_path / "found.jsonl")
    lines.part_path.write_bytes(b'{"image": "a.png"}\n' + line)
    with pytest.raises(ValueError, match=r"found\.jsonl\.part cannot be continued: .* in line 2"):
        read_finished_pages(lines.parts)


@pytest.mark.parametrize("form", ["jsonl", "csv", "coco"])
def test_an_interrupted_file_is_a_part_or_nothing_and_lines_are_written_at_once(
    tmp_path: Path, form: Any
) -> None:
    path = tmp_path / "found"
    path.write_text("old")

    def stopped() -> Any:
        yield results()[0]
        (growing,) = set(tmp_path.iterdir()) - {path}
        assert "a.png" in growing.read_text()
        assert path.read_text() == "old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(stopped(), path, form)
    assert path.read_text() == "old"
    remaining = {tmp_path / "found.part"} if form == "jsonl" else set()
    assert set(tmp_path.iterdir()) == {path} | remaining
    write_results(results()[1:], path, form)
    assert set(tmp_path.iterdir()) == {path}
    if form == "jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == results()


@pytest.mark.parametrize("to_file", [True, False])
def test_a_coco_file_without_detections_is_logged(
    to_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, once, and not for other formats or files with detections."""
    path = tmp_path / "results.json" if to_file else None
    name = path or "the output"
    write_results(results()[1:3], path, "coco")
    printed = capsys.readouterr()
    text = path.read_text() if path else printed.out
    assert json.loads(text) == []
    assert printed.err == (
        f"digits-jax: {name} holds no detections; pycocotools' loadRes cannot read an empty list\n"
    )
    write_results(results(), path, "coco")
    write_results(results()[1:3], path, "csv")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv", "read": True}, "--format jsonl with --read and --resume; got csv"),
        ({"format": "coco", "resume": True}, "got coco"),
        ({"resume": True}, "--output with --resume"),
    ],
)
def test_options_that_cannot_be_combined_are_refused(options: dict[str, Any], message: str) -> None:
    defaults: dict[str, Any] = {"format": "jsonl", "read": False, "resume": False}
    with pytest.raises(ArgumentError, match=message):
        check_output_options(None, **{**defaults, **options})
    check_output_options(Path("results"), "jsonl", read=True, resume=True)
