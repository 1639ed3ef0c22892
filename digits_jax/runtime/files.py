"""Files and folders: the cache folder, checks of output paths, and atomic writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from platformdirs import user_cache_dir


def cache_folder() -> Path:
    """Returns `$DIGITS_JAX_CACHE` if it is set, else the package's folder in the user's cache."""
    return Path(os.environ.get("DIGITS_JAX_CACHE") or user_cache_dir("digits-jax"))


def check_output_folder(path: Path) -> None:
    """Checks that a path is a folder or does not exist.

    Raises:
      FileExistsError: the path is a file.
    """
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: expected a folder to write to; name another path")


def make_output_folder(path: Path) -> None:
    """Creates a folder and its parents if they do not exist.

    Raises:
      FileExistsError: the path is a file.
    """
    check_output_folder(path)
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
