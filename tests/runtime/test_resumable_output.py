"""Lines that grow in FILE.part, which becomes FILE when all are written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digits_jax.runtime.resumable_output import BLOCK_BYTES, ResumableLines


@pytest.fixture
def output(tmp_path: Path) -> ResumableLines:
    return ResumableLines(tmp_path / "out.jsonl")


def interrupted(*lines: str) -> Iterator[str]:
    yield from lines
    raise KeyboardInterrupt


def test_a_complete_run_leaves_only_the_file(output: ResumableLines) -> None:
    output.check(resume=False)
    assert output.parts == []
    output.write(["a", "é"])
    assert output.path.read_bytes() == "a\né\n".encode()
    assert list(output.path.parent.iterdir()) == [output.path]


def test_an_interrupted_run_leaves_the_part_and_the_old_file(output: ResumableLines) -> None:
    output.path.write_text("old\n")
    output.check(resume=False)
    with pytest.raises(KeyboardInterrupt):
        output.write(interrupted("a", "b"))
    assert output.path.read_text() == "old\n"
    assert output.part_path == output.path.with_name("out.jsonl.part")
    assert output.part_path.read_text() == "a\nb\n"


def test_each_line_is_on_disk_before_the_next_is_computed(output: ResumableLines) -> None:
    def lines() -> Iterator[str]:
        for k in range(3):
            yield str(k)
            assert output.part_path.read_text().splitlines() == [str(n) for n in range(k + 1)]

    output.write(lines())


def test_a_resumed_run_yields_the_finished_lines_and_appends(output: ResumableLines) -> None:
    with pytest.raises(KeyboardInterrupt):
        output.write(interrupted("a", "b"))
    resumed = ResumableLines(output.path)
    resumed.check(resume=True)
    assert resumed.parts == [resumed.part_path]
    assert resumed.part_path.read_bytes() == b"a\nb\n"
    resumed.write(["c"])
    assert output.path.read_text() == "a\nb\nc\n"
    assert not output.part_path.exists()


def test_a_finished_file_is_copied_to_the_part_and_kept_until_the_end(
    output: ResumableLines,
) -> None:
    output.path.write_text("a\n")
    output.check(resume=True)
    assert output.earlier(resume=False) == []
    assert output.earlier(resume=True) == [output.path]
    assert not output.part_path.exists()  # until all is checked
    output.begin(resume=True)
    assert output.part_path.read_text() == output.path.read_text() == "a\n"
    with pytest.raises(KeyboardInterrupt):
        output.write(interrupted("b"))
    assert output.path.read_text() == "a\n"
    output.check(resume=True)
    output.begin(resume=True)
    output.write(["c"])
    assert output.path.read_text() == "a\nb\nc\n"


def test_an_incomplete_last_line_of_a_finished_file_is_not_copied(output: ResumableLines) -> None:
    output.path.write_text("a\ntorn")
    output.check(resume=True)
    output.begin(resume=True)
    output.write(["b"])
    assert output.path.read_text() == "a\nb\n"


def test_a_new_run_starts_without_the_lines_of_a_finished_file(output: ResumableLines) -> None:
    output.path.write_text("old\n")
    output.check(resume=False)
    output.write(["new"])
    assert output.path.read_text() == "new\n"


@pytest.mark.parametrize(
    ("part", "complete"),
    [
        (b"", b""),
        (b"torn", b""),
        (b"a\n", b"a\n"),
        (b"a\nb", b"a\n"),
        (b"a\n\nb", b"a\n\n"),
        (b"a\n" + BLOCK_BYTES * b"b", b"a\n"),
        (b"a\n" + (BLOCK_BYTES - 1) * b"b", b"a\n"),
        (BLOCK_BYTES * b"a" + b"\n" + 3 * BLOCK_BYTES * b"b", BLOCK_BYTES * b"a" + b"\n"),
        (3 * BLOCK_BYTES * b"a", b""),
    ],
)
def test_an_incomplete_last_line_is_removed_on_resume(
    output: ResumableLines, part: bytes, complete: bytes
) -> None:
    output.part_path.write_bytes(part)
    output.check(resume=True)
    assert output.part_path.read_bytes() == part  # until all is checked
    output.begin(resume=True)
    assert output.part_path.read_bytes() == complete


def test_a_part_is_refused_without_resume_and_left_unchanged(output: ResumableLines) -> None:
    output.part_path.write_bytes(b"a\ntorn")
    with pytest.raises(FileExistsError, match=r"out\.jsonl\.part holds .* with --resume, or"):
        output.check(resume=False)
    assert output.part_path.read_bytes() == b"a\ntorn"


def test_an_empty_part_is_not_refused(output: ResumableLines) -> None:
    output.part_path.touch()
    output.check(resume=False)
    output.write(["a"])
    assert output.path.read_text() == "a\n"


def test_a_link_to_a_file_remains_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "folder/target", tmp_path / "link"
    target.parent.mkdir()
    target.write_text("a\n")
    link.symlink_to(target)
    output = ResumableLines(link)
    output.check(resume=True)
    output.begin(resume=True)
    output.write(["b"])
    assert link.is_symlink()
    assert target.read_text() == "a\nb\n"
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_is_refused_and_a_missing_parent_is_created(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="is not a file"):
        ResumableLines(tmp_path).check(resume=False)
    output = ResumableLines(tmp_path / "a/b/out")
    output.check(resume=True)
    output.write([])
    assert output.path.read_bytes() == b""
