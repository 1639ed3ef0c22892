"""Where commands write what they were asked for."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

BLOCK = 2**16  # bytes read at once from a file's end


def make_output_folder(path: Path) -> None:
    """Makes a folder, where there is none yet."""
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: expected a folder to write to; name another")
    path.mkdir(parents=True, exist_ok=True)


def check_output_file(path: Path) -> None:
    """Makes a file's folder, and makes sure that the file can be replaced."""
    if path.exists() and not path.is_file():  # replacing it would remove a folder or a device
        raise FileExistsError(f"{path} is no file: expected one to write to; name another")
    path.parent.mkdir(parents=True, exist_ok=True)


class AnnotatedPaths:
    """The pictures of images in a folder: all different, also where case makes no difference."""

    def __init__(self, images: Sequence[Path], folder: Path):
        make_output_folder(folder)
        self._folder = folder
        # Never over an image itself.
        self._taken = {_key(image) for image in images}
        self._of_image = {}
        last = Counter[str]()  # number of each stem
        for image in images:
            stem = image.stem.casefold()
            path, last[stem] = self._free(image.stem, last[stem] + 1)
            self._of_image[image] = path
            self._taken.add(_key(path))

    def path(self, image: Path, page: int | None) -> Path:
        """The picture of an image, or of one of its pages."""
        path = self._of_image[image]
        return path if page is None else self._free(f"{path.stem}-page{page}", 1)[0]

    def _free(self, stem: str, first: int) -> tuple[Path, int]:
        """The first path that is not taken, and its number, from the first on."""
        for number in count(first):
            path = self._folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
            if _key(path) not in self._taken:
                break
        return path, number


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file, whole or not at all."""
    path = path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where what becomes a file grows line by line."""
    path = path.resolve()  # a link stays one
    return path.with_name(f"{path.name}.part")


def prepare_part(path: Path, *, resume: bool) -> Path:
    """Makes ready what `growing` lengthens: nothing, or what an earlier run has finished.

    That is in the part that it left, whose last line goes if it is torn, or where it came to its
    end, in the file.

    Raises:
      FileExistsError: there is such a part, and it is not to be gone on with.
    """
    part = part_of(path)
    if resume and not part.exists() and path.exists():
        with atomic_write(part) as temporary:
            shutil.copyfile(path, temporary)
    if part.exists() and part.stat().st_size:
        if not resume:
            raise FileExistsError(
                f"{part} holds what an interrupted run has finished: expected none; go on with it "
                "by --resume, or remove it to begin anew"
            )
        with part.open("rb+") as file:
            file.truncate(_end_of_lines(file))
    return part


def _end_of_lines(file: BinaryIO) -> int:
    """The size of a file without what follows its last end of a line."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


@contextmanager
def growing(path: Path) -> Iterator[Path]:
    """Where to add lines to what becomes the file at the end; what stops before can go on."""
    yield part_of(path)
    os.replace(part_of(path), path.resolve())
