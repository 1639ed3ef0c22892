"""Writes digits to files of each format, with the formats' own writers."""

import bz2
import csv
import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from digits_jax.data.custom.load import load_custom_digits
from digits_jax.data.custom.splits import CustomDigits
from digits_jax.data.mnist import Mnist


def load(mnist: Mnist, *sources: str | Path) -> CustomDigits:
    """Loads digits, silently."""
    return load_custom_digits(sources, mnist, lambda _: None)


def write_idx_pair(
    folder: Path, images: np.ndarray, labels: np.ndarray, *, names: tuple[str, str], pack: bool
) -> Path:
    """Writes a file of images and one of labels as the format's description has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, (images, labels), strict=True):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = header + array.astype(np.uint8).tobytes()
        (folder / name).write_bytes(gzip.compress(content, 1) if pack else content)
    return folder


def write_npz(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Writes an .npz file with the arrays of Keras."""
    half = len(labels) // 2
    path = path.with_suffix(".npz")
    np.savez_compressed(
        path,
        x_train=images[:half],
        y_train=labels[:half],
        x_test=images[half:],
        y_test=labels[half:],
    )
    return path


def write_csv(
    path: Path, images: np.ndarray, labels: np.ndarray, *, header: bool = True, pack: bool = False
) -> Path:
    """Writes a table as Kaggle has it: the label and the pixels, with or without names."""
    text = io.StringIO()
    writer = csv.writer(text)
    rows = images.reshape(len(images), -1)
    if header:
        writer.writerow(["label", *(f"pixel{k}" for k in range(rows.shape[1]))])
    for label, row in zip(labels.tolist(), rows.tolist(), strict=True):
        writer.writerow([label, *row])
    content = text.getvalue().encode()
    path = path.with_suffix(".csv.gz" if pack else ".csv")
    path.write_bytes(gzip.compress(content, 1) if pack else content)
    return path


def png(image: np.ndarray) -> bytes:
    """Returns a picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write_parquet(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Writes a table as Hugging Face has it: a struct of a PNG's bytes and path, and a label."""
    struct_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": png(image), "path": f"{k}.png"} for k, image in enumerate(images)]
    table = pa.table({"image": pa.array(pictures, struct_type), "label": pa.array(labels.tolist())})
    path = path.with_suffix(".parquet")
    pq.write_table(table, path)
    return path


def write_libsvm(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Writes LIBSVM's text as its USPS: labels 1 to 10, values −1 to 1, packed by bzip2."""
    values = images.reshape(len(images), -1) / 127.5 - 1
    lines = [
        f"{label + 1} " + " ".join(f"{k}:{value:.6f}" for k, value in enumerate(row, 1))
        for label, row in zip(labels.tolist(), values.tolist(), strict=True)
    ]
    path = path.with_suffix(".bz2")
    path.write_bytes(bz2.compress("\n".join(lines).encode() + b"\n"))
    return path


def write_picture_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Writes each digit as folder/LABEL/NUMBER.png."""
    for k, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = folder / str(label) / f"{k:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return folder
