"""Digits in Parquet files as Hugging Face keeps MNIST: encoded pictures and labels."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from digits_jax.data.custom.contents import MAX_UNPACKED_BYTES, read_content
from digits_jax.data.custom.framing import FramedDigits, frame_picture, stack_digits
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset
from digits_jax.images.read import ImageError, read_image
from digits_jax.runtime.errors import ArgumentError, first_line

IMAGE_COLUMNS = ("image", "img", "picture", "png")
LABEL_COLUMNS = ("label", "labels", "class", "digit", "target")


def read_parquet(path: Path) -> FramedDigits:
    """Reads a Parquet file with a column of pictures, as PNG or JPEG, and one of labels.

    A picture is a struct with a field `bytes`, or the bytes themselves. This needs PyArrow.

    Raises:
      DataError: PyArrow is missing, or the file is damaged or has other columns.
    """
    try:
        import pyarrow.parquet as pq  # an extra
    except ImportError as error:
        raise DataError(
            f"{path} is a Parquet file: expected PyArrow, which reads it; install the extra "
            "[parquet]: pip install 'digits-jax[parquet]'"
        ) from error
    try:
        file = pq.ParquetFile(io.BytesIO(read_content(path)))
        groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
        columns = set(file.schema_arrow.names)
        image = next((name for name in IMAGE_COLUMNS if name in columns), None)
        label = next((name for name in LABEL_COLUMNS if name in columns), None)
        is_small = sum(group.total_byte_size for group in groups) <= MAX_UNPACKED_BYTES
        rows = file.read([image, label]).to_pylist() if image and label and is_small else []
    except DataError:
        raise
    except Exception as error:  # PyArrow raises many kinds for damaged files
        raise DataError(
            f"{path} cannot be read as a Parquet file ({first_line(error)}). Get the file again."
        ) from error
    if image is None or label is None:
        raise DataError(
            f"{path}: expected the columns image and label; found "
            f"{', '.join(sorted(columns)) or 'none'}. Rename them."
        )
    if not is_small:
        raise DataError(
            f"{path}: expected at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB of data, unpacked, "
            "found more. Divide it into several files."
        )
    return _frame_rows(str(path), [(row[image], row[label]) for row in rows])


def _frame_rows(name: str, rows: list[tuple[Any, Any]]) -> FramedDigits:
    images, labels, notes = [], [], []
    for k, (value, label) in enumerate(rows):
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(
                f"{name}, row {k}: expected a picture as the bytes of a file, found "
                f"{type(content).__name__}. Store the pictures in the file, such as with "
                "datasets.Dataset.to_parquet."
            )
        if not isinstance(label, int):
            raise DataError(
                f"{name}, row {k}: expected a whole number as the label, found {label!r:.40}. "
                "Store the labels 0 to 9."
            )
        if not 0 <= label <= 9:
            notes.append(f"{name}, row {k}: the label {label} is none of 0 to 9")
            continue
        try:
            images.append(frame_picture(read_image(content, colour=True)))
            labels.append(label)
        except ImageError as error:
            notes.append(f"{name}, row {k}: {error}")
        except ArgumentError:
            notes.append(f"{name}, row {k}: the picture is blank")
    return FramedDigits(
        Dataset(stack_digits(images), np.array(labels, np.uint8)), tuple(notes), len(notes)
    )
