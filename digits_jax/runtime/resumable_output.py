"""Text files that grow line by line, and that an interrupted run can continue."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from digits_jax.runtime.files import atomic_write, check_output_file

BLOCK_BYTES = 2**16  # read at once when the last complete line of a file is searched for


class ResumableLines:
    """Lines of text that grow in FILE.part, which becomes FILE when all lines are written.

    A run calls `prepare`, may iterate over the lines of an earlier run, and calls `write`. A run
    that is interrupted leaves FILE.part, and the next run continues it.

    Args:
      path: FILE.

    Attributes:
      path: FILE, with links resolved, so that a link to a file remains a link.
      part_path: FILE.part, in the same folder.
    """

    def __init__(self, path: Path):
        self.path = path.resolve()
        self.part_path = self.path.with_name(f"{self.path.name}.part")

    def prepare(self, *, resume: bool) -> None:
        """Checks that the file can be written, and makes FILE.part ready for more lines.

        With `resume` an incomplete last line of FILE.part is removed. If there is no FILE.part but
        a complete FILE, FILE is copied to FILE.part.

        Args:
          resume: whether to continue an earlier run.

        Raises:
          FileExistsError: FILE is a folder or a device; or FILE.part holds lines and `resume` is
            False.
        """
        check_output_file(self.path)
        if resume and not self.part_path.exists() and self.path.exists():
            with atomic_write(self.part_path) as temporary:
                shutil.copyfile(self.path, temporary)
        if not self.part_path.exists() or not self.part_path.stat().st_size:
            return
        if not resume:
            raise FileExistsError(
                f"{self.part_path} holds what an interrupted run has finished: expected no such "
                "file; continue that run with --resume, or remove the file to start again"
            )
        with self.part_path.open("rb+") as file:
            file.truncate(_end_of_last_line(file))

    def __iter__(self) -> Iterator[bytes]:
        """Yields the lines of FILE.part, each with its newline; none if there is no such file."""
        if self.part_path.exists():
            with self.part_path.open("rb") as lines:
                yield from lines

    def write(self, lines: Iterable[str]) -> None:
        """Appends lines to FILE.part as they come, and renames it to FILE after the last line.

        Args:
          lines: text without newlines.
        """
        # Line buffering, so that each line is on disk before the next one is computed.
        with self.part_path.open("a", encoding="utf-8", buffering=1) as file:
            file.writelines(f"{line}\n" for line in lines)
        os.replace(self.part_path, self.path)


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
