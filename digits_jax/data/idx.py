"""MNIST as the four classic idx files.

Every reader in `digits_jax.data` returns the four original arrays in their original order, or
raises `DataError`. No reader verifies the content: `digits_jax.data.mnist` does that for all.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from digits_jax.runtime.errors import DigitsJaxError

# The types of an idx file's numbers, by the third byte of the file; all are big-endian.
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class DataError(DigitsJaxError):
    """Digits could not be read, or are not what they should be; the message says what to do."""


class RawMnist(NamedTuple):
    """The original arrays: 60,000 training digits and 10,000 test digits."""

    train_images: UInt8[np.ndarray, "60000 28 28"]
    train_labels: UInt8[np.ndarray, "60000"]
    test_images: UInt8[np.ndarray, "10000 28 28"]
    test_labels: UInt8[np.ndarray, "10000"]


class IdxFile(NamedTuple):
    """Name, array shape and digest of one of the four classic files, uncompressed."""

    name: str
    shape: tuple[int, ...]
    sha256: str


# In the order of the fields of RawMnist.
IDX_FILES = (
    IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Returns the header of an idx file of unsigned bytes: magic number, then big-endian sizes."""
    return np.array([0x800 + len(shape), *shape], ">u4").tobytes()


def read_idx_header(content: bytes) -> tuple[np.dtype, tuple[int, ...]] | None:
    """Returns the type and the shape that an idx file declares, or None if it is no idx file.

    Args:
      content: the file, unpacked, or its first 20 bytes.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES:
        return None
    axes = content[3]
    if not 1 <= axes <= 4 or len(content) < 4 + 4 * axes:
        return None
    sizes = np.frombuffer(content, ">u4", axes, offset=4)
    return np.dtype(IDX_DTYPES[content[2]]), tuple(int(size) for size in sizes)


def parse_idx(content: bytes, name: str) -> np.ndarray:
    """Returns the array of an idx file of any type and shape.

    Args:
      content: the file, unpacked.
      name: of the file, for messages.

    Raises:
      DataError: it is no idx file, or longer or shorter than it declares.
    """
    header = read_idx_header(content)
    if header is None:
        found = f"one that begins {content[:8]!r}" if content else "an empty file"
        raise DataError(f"{name}: expected an idx file, found {found}. Get the file again.")
    dtype, shape = header
    start, size = 4 + 4 * len(shape), dtype.itemsize * math.prod(shape)
    if len(content) - start != size:
        state = "cut off" if len(content) - start < size else "too long"
        raise DataError(
            f"{name}: the idx file is {state}: its header declares {_times(shape)} numbers, which "
            f"are {size:,} bytes, and {len(content) - start:,} follow. Get the file again."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def find_idx(folder: Path, name: str) -> Path | None:
    """Returns the path of an idx file in a folder: raw, else as `.gz`, else None."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def read_idx_folder(folder: Path) -> RawMnist:
    """Reads the four classic idx files of a folder.

    Args:
      folder: the folder that holds the files, each raw or as `.gz`.

    Raises:
      DataError: a file is missing, unreadable, or has another format or size than MNIST's.
    """
    paths = {file: find_idx(folder, file.name) for file in IDX_FILES}
    missing = [file.name for file, path in paths.items() if path is None]
    if missing:
        raise DataError(f"{folder}: missing {', '.join(missing)} (raw or .gz); add them.")
    return RawMnist(*(_read_idx(path, file.shape) for file, path in paths.items() if path))


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    header = idx_header(shape)
    size = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(size + 1)  # one byte more, to notice a longer file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}). Get the file again.") from error
    if content[: len(header)] != header:
        raise DataError(
            f"{path}: expected MNIST's idx file of {_times(shape)} bytes, found "
            f"{_describe_header(content)}. Get the file again, or name a folder of your own digits "
            "with --digits."
        )
    if len(content) != size:
        actual = f"{len(content):,} bytes" if len(content) < size else "more"
        raise DataError(
            f"{path}: expected {size:,} bytes of idx data, found {actual}. Get the file again."
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _describe_header(content: bytes) -> str:
    """Returns what the file is, in words."""
    if not content:
        return "an empty file"
    header = read_idx_header(content)
    if header is None:
        return f"a file that begins {content[:8]!r}"
    dtype, shape = header
    return f"one of {_times(shape)} numbers of type {dtype.name}"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{size:,}" for size in shape)
