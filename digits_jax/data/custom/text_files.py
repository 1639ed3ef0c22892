"""Digits in files of text: CSV as Kaggle's MNIST, and LIBSVM's format as of its USPS."""

import io
import math
import re
from pathlib import Path

import numpy as np

from digits_jax.data.custom.contents import read_content
from digits_jax.data.custom.framing import RawDigits
from digits_jax.data.idx import DataError
from digits_jax.runtime.errors import first_line

LABEL_COLUMNS = ("label", "labels", "class", "digit", "target", "y")


def read_csv(path: Path) -> list[RawDigits]:
    """Reads a table with a row for each digit: its label and its pixels, row by row.

    Columns are separated by commas, semicolons or tabs. The label is in the column that a header
    names so, and in the first one where there is no header.

    Raises:
      DataError: a row has another number of columns, something is no number, or the pixels are not
        those of square pictures.
    """
    text = _decode(path)
    header = text.partition("\n")[0].strip()
    separator = max(",;\t", key=header.count)
    names = [name.strip().strip('"').lower() for name in header.split(separator)]
    has_header = not all(_is_number(name) for name in names)
    label_column = next((k for k, name in enumerate(names) if name in LABEL_COLUMNS), 0)
    try:
        table = np.loadtxt(
            io.StringIO(text),
            np.float32,
            delimiter=separator,
            skiprows=int(has_header),
            quotechar='"',
            comments=None,
            ndmin=2,
        )
    except ValueError as error:
        raise DataError(
            f"{path} cannot be read as a table of digits: expected a label and the pixels as "
            f"numbers in every row, found: {first_line(error).partition(';')[0]}. Mend or remove "
            "that row."
        ) from error
    pixels = np.delete(table, label_column, axis=1)
    if not _is_square(pixels.shape[1]):
        columns = table.shape[1]
        found, remedy = f"{columns} columns", "Remove the others."
        if _is_square(columns):  # Kaggle's test.csv
            found += ", which are pictures without labels"
            remedy = "Name the files that have labels, such as train.csv."
        raise DataError(
            f"{path}: expected a label and the pixels of square pictures in every row, such as "
            f"1 + 784 columns; found {found}. {remedy}"
        )
    return [RawDigits(str(path), _as_integers(pixels), table[:, label_column])]


def read_libsvm(path: Path) -> list[RawDigits]:
    """Reads LIBSVM's text format: a label, and `index:value` for each pixel that is not 0.

    Labels from 1 to 10, as LIBSVM's USPS has them, are the digits 0 to 9.

    Raises:
      DataError: a line has another form.
    """
    labels: list[float] = []
    rows: list[dict[int, float]] = []
    for number, line in enumerate(_decode(path).splitlines(), 1):
        if not (words := line.partition("#")[0].split()):
            continue
        try:
            pairs = [word.split(":") for word in words[1:]]
            labels.append(float(words[0]))
            rows.append({int(index): float(value) for index, value in pairs})
            if rows[-1] and not 1 <= min(rows[-1]) <= max(rows[-1]) <= 1024 * 1024:
                raise ValueError("an index below 1 or far too large")
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: expected a label and index:value for each pixel, as "
                f"LIBSVM writes them; found {line[:40]!r} ({first_line(error)}). Mend or remove "
                "that line."
            ) from error
    side = math.isqrt(max(max(row, default=1) for row in rows) - 1) + 1
    pixels = np.zeros((len(rows), side * side), np.float32)
    for image, row in zip(pixels, rows, strict=True):
        image[np.array(list(row), int) - 1] = list(row.values())
    digits = np.array(labels)
    if digits.min() >= 1 and digits.max() == 10:
        digits -= 1
    return [RawDigits(str(path), _as_integers(pixels), digits)]


def _decode(path: Path) -> str:
    try:
        return read_content(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read as text ({error}). Store it as UTF-8, or get it again."
        ) from error


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _as_integers(pixels: np.ndarray) -> np.ndarray:
    """Returns whole numbers as integers, so that grey values of 0 to 255 are known as such."""
    integers = pixels.astype(np.int64)
    return integers if np.array_equal(integers, pixels) else pixels
