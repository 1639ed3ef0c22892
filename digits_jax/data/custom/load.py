"""Reads digits of one's own from folders and files, and divides them into splits."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from digits_jax.data.custom.array_files import find_idx_partners, read_idx_files, read_npz
from digits_jax.data.custom.contents import EXPECTED, Format, find_formats, identify, reject
from digits_jax.data.custom.framing import FramedDigits, RawDigits, frame_arrays
from digits_jax.data.custom.parquet_files import read_parquet
from digits_jax.data.custom.picture_folders import (
    label_folders,
    other_subfolders,
    read_picture_folder,
)
from digits_jax.data.custom.splits import CustomDigits, split_digits
from digits_jax.data.custom.text_files import read_csv, read_libsvm
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.runtime import progress

# EMNIST's files hold rows as columns. Nothing in them says so: their makers' names begin like this,
# and a source that begins with the marker is read so whatever its name.
EMNIST_NAME = "emnist-"
TRANSPOSED_MARKER = "emnist:"
EMNIST_LETTERS = "emnist-letters"  # its labels 1 to 26 are letters
# Where torchvision and Hugging Face keep a dataset's files in its folder.
SUBFOLDERS = ("", "raw", "MNIST/raw", "mnist", "data")
LISTED = 10  # pictures that are left out are listed up to this number, and counted beyond it


def load_custom_digits(
    sources: Sequence[str | Path], mnist: Mnist, log: Callable[[str], None] = progress.log
) -> CustomDigits:
    """Reads digits, frames them as MNIST's, and divides them into splits (`split_digits`).

    Formats are told by content, not by name. All digits of all sources are taken together.

    Args:
      sources: each one of
        - a folder with subfolders 0 to 9 of pictures of single digits;
        - idx files: those of images or labels, or their folder, such as torchvision's `MNIST/raw`;
        - .npz files as Keras keeps MNIST, CSV as Kaggle does, Parquet as Hugging Face does, and
          LIBSVM's text format, as of its USPS; or their folder.
        Files may be packed by gzip, bzip2 or xz. The prefix `emnist:` marks pictures whose rows and
        columns are exchanged, as EMNIST's are; files whose names begin with `emnist-` need none.
      mnist: the MNIST whose pictures are known.
      log: receives what was read and what was left out.

    Raises:
      DataError: a source cannot be read, or holds no digits.
    """
    parts = [part for source in sources for part in _read_source(str(source), log)]
    columns = zip(*(part.digits for part in parts), strict=True)
    digits = Dataset(*(np.concatenate(arrays) for arrays in columns))
    notes = [note for part in parts for note in part.left_out]
    left_out = sum(part.left_out_count for part in parts)
    for note in notes[:LISTED]:
        log(f"Left out: {note}")
    if len(notes) > LISTED:
        log(f"Left out: {len(notes) - LISTED:,} more")
    named = ", ".join(map(str, sources))
    labels = np.unique(digits.labels)
    if len(labels) < 2:
        found = f"only the digit {labels[0]}" if len(labels) else "no readable digit"
        raise DataError(
            f"{named}: expected pictures of several digits, found {found}"
            f"{f', and {left_out:,} left out' if left_out else ''}. Check the labels: in CSV they "
            "are in the column named label, or in the first; of folders they are the names 0 to 9."
        )
    try:
        custom = split_digits(digits, mnist, sources=tuple(map(str, sources)), left_out=left_out)
    except DataError as error:
        raise DataError(f"{named}: {error}") from error
    kind = "a copy of MNIST" if custom.is_mnist else "digits"
    counts = " + ".join(f"{len(split.labels):,}" for split in custom.splits)
    log(f"{named}: {kind}, {counts} for training, validation and test, {left_out:,} left out")
    return custom


def _read_source(source: str, log: Callable[[str], None]) -> list[FramedDigits]:
    transposed = source.startswith(TRANSPOSED_MARKER)
    path = Path(source.removeprefix(TRANSPOSED_MARKER)).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist: expected {EXPECTED}; check the path.")
    if path.is_dir() and (labels := label_folders(path)):
        if missing := [label for label in range(10) if label not in labels]:
            log(f"{path} has no folder {', '.join(map(str, missing))}: none of these digits")
        if others := other_subfolders(path):
            log(f"{path}: subfolders of other names are not read: {', '.join(others)}")
        return [read_picture_folder(path)]
    if path.is_dir():
        form, files = _find_files(path)
    elif (found := identify(path)) is None:
        raise reject(path)
    else:
        form, files = found, [path]
    if form == "parquet":
        return [_turned(read_parquet(file), transposed) for file in files]
    parts = []
    for raw in _read_arrays(form, files):
        name = Path(raw.name.partition(", ")[0]).name.lower()
        if name.startswith(EMNIST_LETTERS):
            raise DataError(
                f"{raw.name}: expected digits, found EMNIST's letters by the file's name; name its "
                "files of digits, such as emnist-digits-train-images-idx3-ubyte."
            )
        is_emnist = name.startswith(EMNIST_NAME)
        if is_emnist and not transposed:
            log(f"{raw.name}: rows and columns are exchanged, as EMNIST's names say")
        parts.append(frame_arrays(raw._replace(transposed=transposed or is_emnist)))
    return parts


def _find_files(folder: Path) -> tuple[Format, list[Path]]:
    """Returns the files of digits in a folder, which all have one format."""
    formats: dict[Path, Format] = {}
    for name in SUBFOLDERS:
        inside = folder / name
        if inside.is_dir():
            files = sorted(path for path in inside.iterdir() if path.name[0] != ".")
            formats = find_formats(files)
        if formats:
            break
    kinds = sorted(set(formats.values()))
    if len(kinds) == 1:
        return kinds[0], list(formats)
    if kinds:
        raise DataError(
            f"{folder}: expected files of one format, found {', '.join(kinds)}. Name the files."
        )
    names = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    raise DataError(
        f"{folder}: expected {EXPECTED}; found {listed or 'an empty folder'}. Sort pictures into "
        "the subfolders 0 to 9, or name another folder."
    )


def _read_arrays(form: Format, files: list[Path]) -> list[RawDigits]:
    if form == "idx":
        if len(files) == 1:
            others = find_formats(sorted(files[0].parent.iterdir()))
            files = find_idx_partners(files[0], (p for p, f in others.items() if f == "idx"))
        return read_idx_files(files)
    read = {"npz": read_npz, "csv": read_csv, "libsvm": read_libsvm}[form]
    return [raw for file in files for raw in read(file)]


def _turned(framed: FramedDigits, transposed: bool) -> FramedDigits:
    images, labels = framed.digits
    turned = np.ascontiguousarray(np.asarray(images).swapaxes(1, 2)) if transposed else images
    return framed._replace(digits=Dataset(turned, labels))
