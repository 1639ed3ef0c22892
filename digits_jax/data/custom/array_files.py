"""Digits in files of arrays: idx files of any name, and .npz files as Keras keeps MNIST."""

import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from digits_jax.data.custom.contents import MAX_UNPACKED_BYTES, read_content
from digits_jax.data.custom.framing import RawDigits
from digits_jax.data.idx import DataError, parse_idx, read_idx_header
from digits_jax.runtime.errors import first_line

# Words of the names of arrays; what remains of a name says which images have which labels.
IMAGE_WORDS = {"x", "images", "image", "data", "pictures"}
LABEL_WORDS = {"y", "labels", "label", "target", "targets"}


def read_idx_files(paths: Iterable[Path]) -> list[RawDigits]:
    """Reads idx files of images, each with its file of labels.

    Two files belong together if their names differ in `images` and `labels` or `idx3` and `idx1`
    alone. One file of each kind belongs together whatever their names. Of a file that is there
    packed and unpacked, the unpacked one is read.

    Args:
      paths: files of images and of labels, raw or packed.

    Raises:
      DataError: a file is damaged, or images have no labels.
    """
    unpacked: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.suffix == ".gz"):
        unpacked.setdefault(path.name.removesuffix(".gz"), path)
    files = sorted(unpacked.values())
    images, labels = ({}, {})  # type: ignore[var-annotated]
    for path in files:
        content = read_content(path)
        header = read_idx_header(content)
        axes = 0 if header is None else len(header[1])
        (labels if axes == 1 else images)[_pairing_key(path)] = (path, content)
    if len(images) == len(labels) == 1:
        labels = dict(zip(images, labels.values(), strict=True))
    if not images or images.keys() != labels.keys():
        names = ", ".join(path.name for path in files)
        raise DataError(
            f"{files[0].parent}: expected idx files in pairs, such as train-images.idx3-ubyte and "
            f"train-labels.idx1-ubyte; found {names}. Add the missing ones, or name the files of "
            "images that you mean."
        )
    return [
        RawDigits(
            str(path), parse_idx(content, str(path)), parse_idx(labels[key][1], str(labels[key][0]))
        )
        for key, (path, content) in images.items()
    ]


def find_idx_partners(path: Path, others: Iterable[Path]) -> list[Path]:
    """Returns the files that make a pair with an idx file: all that share its name, or all others.

    Args:
      path: of images or labels.
      others: the idx files of its folder.
    """
    others = list(others)
    same = [other for other in others if _pairing_key(other) == _pairing_key(path)]
    return same if len(same) > 1 else others


def _pairing_key(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return re.sub(r"images?|labels?|idx\d", "", name)


def read_npz(path: Path) -> list[RawDigits]:
    """Reads the images and labels of an .npz file, without pickle.

    The names of its arrays are as Keras has them (`x_train`, `y_train`, `x_test`, `y_test`), or
    others of `x`, `images`, `data` and `y`, `labels`, `target`.

    Raises:
      DataError: the file is damaged, holds Python objects, or no such arrays.
    """
    content = read_content(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise DataError(
                    f"{path}: expected at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB of data, "
                    "unpacked, found more. Divide it into several files."
                )
        with np.load(io.BytesIO(content), allow_pickle=False) as npz:
            arrays = {name: npz[name] for name in npz.files if _kind(name) is not None}
            names = npz.files
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as an .npz file of arrays ({first_line(error)}). Store images "
            "and labels as arrays of numbers with numpy.savez, or get the file again."
        ) from error
    images = {_rest(name): name for name in arrays if _kind(name) == "images"}
    labels = {_rest(name): name for name in arrays if _kind(name) == "labels"}
    if not images or images.keys() != labels.keys():
        raise DataError(
            f"{path}: expected arrays named x_train, y_train, x_test and y_test, or images and "
            f"labels; found {', '.join(names) or 'none'}. Store them under such names."
        )
    return [
        RawDigits(f"{path}, {name}", arrays[name], arrays[labels[rest]])
        for rest, name in images.items()
    ]


def _kind(name: str) -> str | None:
    words = set(name.lower().split("_"))
    is_image, is_label = bool(words & IMAGE_WORDS), bool(words & LABEL_WORDS)
    if is_image == is_label:
        return None
    return "images" if is_image else "labels"


def _rest(name: str) -> str:
    words = name.lower().split("_")
    return "_".join(word for word in words if word not in IMAGE_WORDS | LABEL_WORDS)
