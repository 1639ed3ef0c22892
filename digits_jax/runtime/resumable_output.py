"""Text files that grow line by line, and that an interrupted run can continue."""

import glob
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from digits_jax.runtime.files import atomic_write, check_output_file

BLOCK_BYTES = 2**16  # read at once when the last complete line of a file is searched for


class ResumableLines:
    """Lines of text that grow in a part, FILE.part, which becomes FILE when all are written.

    A run calls `check`, may read the lines of an earlier run in the files that `earlier` names, and
    calls `begin` and `write`. A run that is interrupted leaves its part, and the next run continues
    it. Of several processes that write FILE, number K writes the part FILE.part-K, and one of them
    merges the parts.

    Args:
      path: FILE.
      process: the number of this process, or None if it writes FILE alone.

    Attributes:
      path: FILE, with links resolved, so that a link to a file remains a link.
      part_path: the part of this process, in the same folder.
    """

    def __init__(self, path: Path, process: int | None = None):
        self.path = path.resolve()
        self._shared_part = self.path.with_name(f"{self.path.name}.part")
        number = "" if process is None else f"-{process}"
        self.part_path = self._shared_part.with_name(f"{self._shared_part.name}{number}")

    @property
    def parts(self) -> list[Path]:
        """The parts that there are: FILE.part, then those of several processes by number."""
        prefix = f"{self._shared_part.name}-"
        numbered = {
            int(path.name.removeprefix(prefix)): path
            for path in self.path.parent.glob(f"{glob.escape(prefix)}*")
            if path.name.removeprefix(prefix).isdecimal()
        }
        shared = [self._shared_part] if self._shared_part.exists() else []
        return shared + [numbered[number] for number in sorted(numbered)]

    def earlier(self, *, resume: bool) -> list[Path]:
        """Returns the files with the lines of an earlier run: its parts, or else a complete FILE.

        Args:
          resume: whether to continue that run; if not, a complete FILE does not count.
        """
        return self.parts or [self.path] * (resume and self.path.exists())

    def check(self, *, resume: bool) -> None:
        """Checks that the file can be written, and that no earlier run's lines would be lost.

        It makes the file's folder if it is missing, and changes nothing else.

        Args:
          resume: whether to continue an earlier run.

        Raises:
          FileExistsError: FILE is a folder or a device; or a part holds lines and `resume` is
            False.
        """
        check_output_file(self.path)
        for part in self.parts:
            if part.stat().st_size and not resume:
                raise FileExistsError(
                    f"{part} holds what an interrupted run has finished: expected no such file; "
                    "continue that run with --resume, or remove the file to start again"
                )

    def begin(self, *, resume: bool) -> None:
        """Makes the parts ready for more lines, once nothing else can refuse the run.

        An incomplete last line of each part is removed. If a complete FILE is to be continued and
        there are no parts, FILE is copied to FILE.part. Of several processes one alone calls this.

        Args:
          resume: whether to continue an earlier run.
        """
        if self.earlier(resume=resume) == [self.path]:
            with atomic_write(self._shared_part) as temporary:
                shutil.copyfile(self.path, temporary)
                _remove_incomplete_line(temporary)
        for part in self.parts:
            _remove_incomplete_line(part)

    def write(self, lines: Iterable[str]) -> None:
        """Appends lines to this process's part as they come.

        FILE.part is renamed to FILE after the last line, if it is the only part.

        Args:
          lines: text without newlines.
        """
        # Line buffering, so that each line is on disk before the next one is computed.
        with self.part_path.open("a", encoding="utf-8", buffering=1) as file:
            file.writelines(f"{line}\n" for line in lines)
        if self.parts == [self._shared_part]:
            os.replace(self._shared_part, self.path)


def _remove_incomplete_line(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(_end_of_last_line(file))


def _end_of_last_line(file: BinaryIO) -> int:
    """Returns the number of bytes up to and including the last newline of a file."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
