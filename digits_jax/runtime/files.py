"""Output files and folders of commands: checks, names, and atomic writing."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4


def make_output_folder(path: Path) -> None:
    """Creates a folder and its parents if it does not exist.

    Raises:
      FileExistsError: the path is a file.
    """
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: expected a folder to write to; name another path")
    path.mkdir(parents=True, exist_ok=True)


def check_output_file(path: Path) -> None:
    """Creates the parents of a file, and checks that the path is a file or does not exist.

    Raises:
      FileExistsError: the path is a folder or a device, which would be replaced.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(
            f"{path} is not a file: expected a file to write to; name another path"
        )
    path.parent.mkdir(parents=True, exist_ok=True)


class AnnotatedPaths:
    """Gives each image, and each page of it, a PNG file of its own in one folder.

    The names are those of the images, with a number where two would be the same. Names that differ
    only in case count as the same, as on macOS and Windows. No image is overwritten.
    """

    def __init__(self, images: Sequence[Path], folder: Path):
        make_output_folder(folder)
        self._folder = folder
        self._used = {_path_key(image) for image in images}
        self._by_image = {}
        last_number = Counter[str]()  # by stem, so that many equal stems take linear time
        for image in images:
            stem = image.stem.casefold()
            path, last_number[stem] = self._unused_path(image.stem, last_number[stem] + 1)
            self._by_image[image] = path
            self._used.add(_path_key(path))

    def path(self, image: Path, page: int | None) -> Path:
        """Returns the path for an image, or for one of its pages.

        Args:
          image: one of the images given to the constructor.
          page: number of the page, or None if the file has only one.
        """
        path = self._by_image[image]
        return path if page is None else self._unused_path(f"{path.stem}-page{page}", 1)[0]

    def _unused_path(self, stem: str, first_number: int) -> tuple[Path, int]:
        """Returns the first unused path, counting up from a number, and its number."""
        for number in count(first_number):
            path = self._folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
            if _path_key(path) not in self._used:
                break
        return path, number


def _path_key(path: Path) -> str:
    return str(path.resolve()).casefold()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path whose file replaces `path` at the end of the `with` block.

    The file is written completely or not at all: if the block raises, `path` keeps its old content
    and the temporary file is removed. Several threads and processes may write the same file.

    Args:
      path: the file to write; its folder exists. A link stays a link, and its target is replaced.

    Yields:
      A hidden path in the same folder, with the same suffix.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Writes a UTF-8 text file completely or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
