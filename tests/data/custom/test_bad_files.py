"""What is off in a file of digits is said in a sentence: what was found, and what to do."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digit_files import load, write_csv

from digits_jax.data.custom import array_files, contents, parquet_files
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset, Mnist


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def save_objects(path: Path) -> Path:
    np.savez(path, x=np.array([{}]), y=np.array([1]), allow_pickle=True)
    return path


def save_arrays(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


ONES, EIGHT = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 10
ROW = ",".join(["1"] * 785)
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda d: d / "none", "does not exist: expected a folder with .* check the path"),
    "empty folder": (lambda d: d, "found an empty folder. Sort pictures into the subfolders 0 to"),
    "empty file": (lambda d: write_bytes(d / "f", b""), "is empty: .*; get it again"),
    "picture": (lambda d: write_bytes(d / "f", b"\x89PNG\r\n"), "is a picture: .* folder 0 to 9"),
    "hdf5": (lambda d: write_bytes(d / "f", b"\x89HDF\r\n"), "is an HDF5 file: .*numpy.savez"),
    "pickle": (lambda d: write_bytes(d / "f", b"\x80\x04\x95"), "a pickle, which could run code"),
    "zip": (lambda d: write_bytes(d / "f", b"PK\x03\x04" + bytes(40)), "a zip archive: .*unpack"),
    "lfs": (lambda d: write_text(d / "f", "version https://git-lfs.github.com"), "git lfs pull"),
    "page": (lambda d: write_text(d / "f", "<!DOCTYPE html>"), "is a web page or XML"),
    "prose": (lambda d: write_text(d / "f", "Dear all,"), "of no format that is read.*b'Dear all"),
    "cut gzip": (
        lambda d: write_bytes(d / "f.gz", gzip.compress(bytes(range(200)) * 900)[:-300]),
        r"f.gz",
    ),
    "images without labels": (
        lambda d: write_bytes(d / "images", bytes([0, 0, 8, 3, *[0, 0, 0, 1] * 3, 7])),
        "expected idx files in pairs, such as .*; found images. Add the missing ones",
    ),
    "short idx": (
        lambda d: (
            write_bytes(d / "a-labels", bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])),
            write_bytes(d / "a-images", bytes([0, 0, 8, 3, *[0, 0, 0, 9] * 3, 7])),
        )[1],
        r"is cut off: its header declares 9 × 9 × 9 numbers, which are 729 bytes, and 1 follow",
    ),
    "objects": (lambda d: save_objects(d / "f.npz"), "Object arrays cannot be loaded"),
    "names": (lambda d: save_arrays(d / "f.npz", a=ONES), "expected arrays named x_train.*found a"),
    "counts": (
        lambda d: save_arrays(d / "f.npz", x=ONES, y=EIGHT[:3]),
        "as many labels as pictures, found 3 labels and 20 pictures",
    ),
    "shape": (
        lambda d: save_arrays(d / "f.npz", x=np.zeros((20, 7)), y=EIGHT),
        r"expected pictures as an array .* found \[20, 7\] of type float64. Reshape it",
    ),
    "nan": (
        lambda d: save_arrays(d / "f.npz", x=np.full((20, 64), np.nan), y=EIGHT),
        "finite numbers",
    ),
    "text labels": (
        lambda d: save_arrays(d / "f.npz", x=ONES, y=np.array(["one"] * 20)),
        "expected the labels 0 to 9, one for each picture; found .*<U3",
    ),
    "all blank": (
        lambda d: save_arrays(d / "f.npz", x=ONES, y=EIGHT),
        "expected pictures of several digits, found no readable digit, and 20 left out",
    ),
    "ragged csv": (
        lambda d: write_text(d / "f.csv", f"{ROW}\n1,2\n"),
        r"number of columns changed from 785 to 2 at row 2\. Mend or remove that row",
    ),
    "words in csv": (lambda d: write_text(d / "f.csv", f"{ROW}\n{ROW[:-1]}x\n"), "could not conv"),
    "columns": (
        lambda d: write_text(d / "f.csv", f"{ROW},1\n"),
        r"such as 1 \+ 784 columns; found 786 columns",
    ),
    "no labels": (
        lambda d: write_text(d / "f.csv", ROW.removesuffix(",1")),
        "784 columns, which are pictures without labels. Name the files that .* train.csv",
    ),
    "one label": (
        lambda d: write_text(d / "f.csv", f"{ROW[:-1]}2\n{ROW[:-1]}3\n"),
        "found only the digit 1.*column named label, or in the first",
    ),
    "libsvm": (
        lambda d: write_text(d / "f", "1 1:2 2:3\n1 1:2 two:3\n"),
        "line 2: expected a label and index:value for each pixel",
    ),
    "parquet": (lambda d: write_bytes(d / "f", b"PAR1 and no more"), "cannot be read as a Parq"),
    "two formats": (
        lambda d: (
            (save_arrays(d / "f.npz", x=ONES, y=EIGHT), write_text(d / "f.csv", ROW))[0].parent
        ),
        "expected files of one format, found csv, npz. Name the files",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=list(BAD))
def test_what_is_off_is_said_with_what_was_found_and_what_to_do(
    make: Callable[[Path], Path], message: str, mnist: Mnist, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as error:
        load(mnist, make(tmp_path))
    assert str(error.value).count(str(tmp_path)) >= 1
    assert str(error.value)[-1] in ".)"


def test_columns_of_parquet_are_named_where_they_are_missing(mnist: Mnist, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "f.parquet")
    with pytest.raises(DataError, match="columns image and label; found label, text"):
        load(mnist, tmp_path / "f.parquet")
    pq.write_table(pa.table({"image": ["a"], "label": [1]}), tmp_path / "f.parquet")
    with pytest.raises(DataError, match="row 0: expected a picture as the bytes of a file"):
        load(mnist, tmp_path / "f.parquet")


def test_what_unpacks_into_too_much_is_refused(
    own: Dataset, mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (contents, array_files, parquet_files):
        monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 100_000)
    images, labels = np.asarray(own.images), np.asarray(own.labels)
    npz = tmp_path / "f.npz"
    np.savez_compressed(npz, x=np.zeros((2000, 8, 8), np.uint8), y=np.zeros(2000, np.uint8))
    assert npz.stat().st_size < 100_000
    packed = write_csv(tmp_path / "mine", images, labels, pack=True)
    for path in (npz, packed):
        with pytest.raises(DataError, match=r"of data, unpacked, found more\. Divide it"):
            load(mnist, path)
