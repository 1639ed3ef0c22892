"""What a data file is, told by its content, and its content unpacked."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from digits_jax.data.idx import DataError, read_idx_header

Format = Literal["idx", "npz", "csv", "libsvm", "parquet"]

EXPECTED = "a folder with subfolders 0 to 9 of pictures, or idx, .npz, CSV, Parquet or LIBSVM files"
MAX_UNPACKED_BYTES = 2**32  # a packed file may unpack into more than the memory holds
HEAD_BYTES = 2**16  # holds a row of 784 numbers
MIN_COLUMNS = 17  # of a table of digits: a label and at least 4×4 pixels

# Files that are often named instead of data, by their first bytes: what they are and what to do.
KNOWN_OTHERS = (
    (b"", "empty", "get it again"),
    (b"\x89PNG", "a picture", "put it into a folder 0 to 9 and name the folder above it"),
    (b"\xff\xd8\xff", "a picture", "put it into a folder 0 to 9 and name the folder above it"),
    (b"\x89HDF", "an HDF5 file", "store its arrays with numpy.savez, and name that file"),
    (b"MATLAB", "a MATLAB file", "store its arrays with numpy.savez, and name that file"),
    (b"\x93NUMPY", "a single array", "store images and labels together with numpy.savez"),
    (b"PK\x03\x04", "a zip archive", "unpack it, and name the files in it"),
    (b"\x80", "a pickle, which could run code", "store its arrays with numpy.savez"),
    (b"version https://git-lfs", "a pointer of Git LFS", "run `git lfs pull` where it is from"),
    (b"<", "a web page or XML", "get the file itself instead of the page that shows it"),
)

# How packed files begin, and what opens them.
PACKERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)

_LIBSVM_LINE = re.compile(rb"[+-]?[\d.]+(?:[eE][+-]?\d+)?(?:\s+\d+:[^\s:]+)+\s*")


def read_content(path: Path) -> bytes:
    """Reads a file, unpacked if it is gzip, bzip2 or xz, whatever its name.

    Raises:
      DataError: it cannot be read, is damaged, or unpacks into more than `MAX_UNPACKED_BYTES`.
    """
    content = _read(path, MAX_UNPACKED_BYTES + 1)
    if len(content) > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{path}: expected at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB of data, unpacked, "
            "found more. Divide it into several files."
        )
    return content


def identify(path: Path) -> Format | None:
    """Returns the format of a file's content, or None if it is none that holds digits.

    Raises:
      DataError: it cannot be read.
    """
    return _identify(_read(path, HEAD_BYTES))


def reject(path: Path) -> DataError:
    """Returns the error that says what a file is that holds no digits, and what to do."""
    head = _read(path, HEAD_BYTES)
    what, remedy = "of no format that is read", "convert it to one of these"
    for start, name, advice in KNOWN_OTHERS:
        if head == start or (start and head.startswith(start)):
            what, remedy = name, advice
            break
    else:
        if head:
            what += f", and begins {head[:8]!r}"
    return DataError(f"{path} is {what}: expected {EXPECTED}; {remedy}.")


def find_formats(paths: Iterable[Path]) -> dict[Path, Format]:
    """Returns the files that hold digits, with their formats; it leaves out all others."""
    formats = {path: identify(path) for path in paths if path.is_file()}
    return {path: form for path, form in formats.items() if form}


def _read(path: Path, size: int) -> bytes:
    try:
        with _open_unpacked(path) as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read ({reason}). Check the path, or get the file again."
        ) from error


@contextmanager
def _open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        start = file.read(6)
    for magic, open_packed in PACKERS:
        if start.startswith(magic):
            with open_packed(path, "rb") as stream:
                yield stream
            return
    with path.open("rb") as stream:
        yield stream


def _identify(head: bytes) -> Format | None:
    if read_idx_header(head) is not None:
        return "idx"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        name_length = int.from_bytes(head[26:28], "little")
        return "npz" if head[30 : 30 + name_length].endswith(b".npy") else None
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    if not lines or b"\0" in head:
        return None
    if _LIBSVM_LINE.fullmatch(lines[0]):
        return "libsvm"
    columns = max(lines[0].count(separator) for separator in (b",", b";", b"\t")) + 1
    return "csv" if columns >= MIN_COLUMNS else None
