"""MNIST as idx files, or as a dataset of TensorFlow Datasets.

Each reader returns the four original arrays in their original order, or raises `DataError`.
None of them vouches for the content: `digits_jax.data.mnist` does, for all of them alike.
"""

import gzip
import io
import math
import os
import sys
import urllib.request
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from digits_jax.runtime.errors import DigitsJaxError


class DataError(DigitsJaxError):
    """MNIST could not be read, or what was read is not MNIST; says where, and what to do."""


class RawMnist(NamedTuple):
    """The original arrays: 60,000 training digits and 10,000 test digits."""

    train_images: UInt8[np.ndarray, "60000 28 28"]
    train_labels: UInt8[np.ndarray, "60000"]
    test_images: UInt8[np.ndarray, "10000 28 28"]
    test_labels: UInt8[np.ndarray, "10000"]


class IdxFile(NamedTuple):
    """One of the four classic files, uncompressed: what it must hold."""

    name: str
    shape: tuple[int, ...]
    sha256: str


# In the order of the fields of Raw.
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

TFDS_ORIGINAL = "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz"


def idx_header(shape: tuple[int, ...]) -> bytes:
    """The header of an idx file of unsigned bytes: magic number, then the big-endian sizes."""
    return np.array([0x800 + len(shape), *shape], ">u4").tobytes()


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, raw or else as `.gz`; None if there is neither."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def read_idx_folder(folder: Path) -> RawMnist:
    """Reads the four classic idx files of `folder`, each raw or as `.gz`.

    Raises:
        DataError: a file is missing, unreadable, or not of the format and size of MNIST's.
    """
    paths = [find_idx(folder, file.name) for file in IDX_FILES]
    found = [path for path in paths if path is not None]
    if len(found) < len(IDX_FILES):
        missing = [file.name for file, path in zip(IDX_FILES, paths, strict=True) if path is None]
        raise DataError(f"{folder}: missing {', '.join(missing)} (raw or .gz); add them.")
    return RawMnist(*(_read_idx(p, file.shape) for p, file in zip(found, IDX_FILES, strict=True)))


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    header = idx_header(shape)
    size = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(size + 1)  # one more, so that a longer file shows
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}). Get the file again.") from error
    if content[: len(header)] != header:
        raise DataError(
            f"{path}: not MNIST's idx header: expected {header.hex()}, "
            f"found {content[: len(header)].hex() or 'an empty file'}. Get the file again."
        )
    if len(content) != size:
        found = f"{len(content):,} bytes" if len(content) < size else "more"
        raise DataError(
            f"{path}: expected {size:,} bytes of idx data, found {found}. Get the file again."
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def tfds_data_dir() -> Path:
    """The folder TensorFlow Datasets keeps its datasets in when told nothing else."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def find_tfds(folder: Path) -> Path | None:
    """The prepared MNIST in `folder`: a TFDS data folder, its `mnist`, or `mnist/3.0.1` itself."""
    candidates = (folder / "mnist" / "3.0.1", folder / "3.0.1", folder)
    return next((path for path in candidates if (path / "dataset_info.json").is_file()), None)


def read_tfds(folder: Path) -> RawMnist:
    """Reads the prepared dataset in `folder` (`.../mnist/3.0.1`), without TensorFlow.

    Raises:
        DataError: the dataset is damaged, or was not prepared in the array_record format.
    """
    try:
        import tensorflow_datasets as tfds  # slow to import, and seldom needed

        builder = tfds.builder_from_directory(folder)
        if builder.info.file_format.value == "array_record":
            train, test = (_read_tfds_split(builder, split) for split in ("train", "test"))
            return RawMnist(*train, *test)
    except Exception as error:  # TFDS and its C++ readers raise errors of every kind
        raise DataError(
            f"{folder}: not a readable TFDS dataset of MNIST ({error}). Prepare it again."
        ) from error
    elsewhere = tfds_data_dir() / "array_record"
    raise DataError(
        f"{folder}: prepared in the format {builder.info.file_format.value}; expected "
        "array_record, which is read without TensorFlow. Prepare it so with\n"
        f"  {sys.executable} -m pip install tensorflow-cpu importlib_resources\n"
        f'  {sys.executable} -c "import tensorflow_datasets as tfds; tfds.builder('
        f"'mnist', data_dir='{elsewhere}', file_format='array_record').download_and_prepare()\"\n"
        f"and name that folder with --data-dir {elsewhere}"
    )


def _read_tfds_split(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets.core.hashing import Hasher

    # Decoding here keeps TFDS from asking for OpenCV.
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    records = source.__getitems__(range(len(source)))  # all at once: twice as fast as one by one
    # TFDS sorts what it writes, over all shards, by a hash of the index salted with the split.
    order = sorted(range(len(records)), key=Hasher(split).hash_key)
    images = np.empty((len(records), 28, 28), np.uint8)
    labels = np.empty(len(records), np.uint8)
    for index, record in zip(order, records, strict=True):
        images[index] = np.asarray(Image.open(io.BytesIO(record["image"]), formats=["PNG"]))
        labels[index] = record["label"]
    return images, labels


def prepare_tfds() -> RawMnist:
    """Downloads and prepares MNIST in TFDS's own folder, and reads it; needs TensorFlow.

    Raises:
        DataError: the host of the originals is not reached, or preparing fails.
    """
    try:  # TFDS itself would try for minutes
        urllib.request.urlopen(urllib.request.Request(TFDS_ORIGINAL, method="HEAD"), timeout=5)
    except OSError as error:
        raise DataError(f"{TFDS_ORIGINAL} is not reached ({error}).") from error
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("mnist:3.0.1", file_format="array_record")
        builder.download_and_prepare()
    except Exception as error:  # of every kind: network, disk, TensorFlow, checksums
        raise DataError(f"could not prepare MNIST in {tfds_data_dir()}: {error}") from error
    return read_tfds(Path(builder.data_dir))
