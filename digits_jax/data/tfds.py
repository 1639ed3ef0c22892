"""MNIST as a dataset of TensorFlow Datasets (TFDS)."""

import io
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits_jax.data.idx import DataError, RawMnist

# A small file on the host from which TFDS downloads, requested to see whether the host is reached.
ORIGINAL_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz"


def tfds_data_dir() -> Path:
    """Returns the folder in which TFDS keeps its datasets: `$TFDS_DATA_DIR` or its default."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def find_tfds(folder: Path) -> Path | None:
    """Returns the folder of the prepared MNIST dataset, or None if there is none.

    Args:
      folder: a TFDS data folder, its subfolder `mnist`, or `mnist/3.0.1` itself.
    """
    candidates = (folder / "mnist" / "3.0.1", folder / "3.0.1", folder)
    return next((path for path in candidates if (path / "dataset_info.json").is_file()), None)


def read_tfds(folder: Path) -> RawMnist:
    """Reads the prepared dataset, without TensorFlow.

    Args:
      folder: `…/mnist/3.0.1`, as `find_tfds` returns it.

    Raises:
      DataError: the dataset is damaged, or was not prepared in the array_record format.
    """
    try:
        import tensorflow_datasets as tfds  # imported here: slow, and rarely needed

        builder = tfds.builder_from_directory(folder)
        if builder.info.file_format.value == "array_record":
            # The short split comes first, so that damage is found soon.
            test, train = (_read_split(builder, split) for split in ("test", "train"))
            return RawMnist(*train, *test)
    except Exception as error:  # TFDS and its C++ readers raise errors of every kind
        raise DataError(
            f"{folder}: not a readable TFDS dataset of MNIST ({error}). Prepare it again."
        ) from error
    new_folder = tfds_data_dir() / "array_record"
    raise DataError(
        f"{folder}: prepared in the format {builder.info.file_format.value}; expected "
        "array_record, which is read without TensorFlow. Prepare it so with\n"
        f"  {sys.executable} -m pip install tensorflow-cpu importlib_resources\n"
        f'  {sys.executable} -c "import tensorflow_datasets as tfds; tfds.builder('
        f"'mnist', data_dir='{new_folder}', file_format='array_record').download_and_prepare()\"\n"
        f"and name that folder with --data-dir {new_folder}"
    )


def _read_split(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.hashing import Hasher

    # Pillow decodes here, since TFDS would need OpenCV.
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    records = source.__getitems__(range(len(source)))  # all at once takes half the time
    # TFDS orders the records of all shards by a hash of their index, salted with the split's name.
    order = sorted(range(len(records)), key=Hasher(split).hash_key)
    images = np.empty((len(records), 28, 28), np.uint8)
    labels = np.empty(len(records), np.uint8)
    for index, record in zip(order, records, strict=True):
        images[index] = np.asarray(Image.open(io.BytesIO(record["image"]), formats=["PNG"]))
        labels[index] = record["label"]
    return images, labels


def prepare_tfds(*, original_url: str = ORIGINAL_URL) -> RawMnist:
    """Downloads MNIST, prepares it in TFDS's own folder and reads it. This needs TensorFlow.

    Args:
      original_url: a file of the host from which TFDS downloads; it is requested first, since TFDS
        itself would try for minutes.

    Raises:
      DataError: the host is not reached, or the preparation fails.
    """
    try:
        request = urllib.request.Request(original_url, method="HEAD")
        urllib.request.urlopen(request, timeout=5).close()
    except OSError as error:
        raise DataError(f"{original_url} is not reached ({error}).") from error
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("mnist:3.0.1", file_format="array_record")
        builder.download_and_prepare()
    except Exception as error:  # errors of every kind: network, disk, TensorFlow, checksums
        raise DataError(f"could not prepare MNIST in {tfds_data_dir()}: {error}") from error
    return read_tfds(Path(builder.data_dir))
