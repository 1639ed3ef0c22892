"""Splits of digits of one's own, by the pixels of each picture, and the digest of the whole."""

import hashlib
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from digits_jax.data.idx import DataError, idx_header
from digits_jax.data.mnist import MNIST_SHA256, Dataset, Mnist

HELD_OUT = 10  # one in so many different pictures of a digit validates, and as many test
SPLITS = ("train", "validation", "test")


class CustomDigits(NamedTuple):
    """Digits of one's own, divided into splits."""

    splits: Mnist
    sha256: str  # of the splits' pictures and labels; MNIST's own for a copy of MNIST
    sources: tuple[str, ...] = ()  # as they were named
    left_out: int = 0  # pictures that could not be read, were blank, or no digits

    @property
    def is_mnist(self) -> bool:
        """Whether they are a whole copy of MNIST."""
        return self.sha256 == MNIST_SHA256

    def describe(self) -> dict[str, Any]:
        """Returns what `run.json` records: sources, and each split's pictures of each digit."""
        counts = {
            name: np.bincount(np.asarray(split.labels), minlength=10).tolist()
            for name, split in zip(SPLITS, self.splits, strict=True)
        }
        return {"sources": list(self.sources), **counts, "left_out": self.left_out}


def split_digits(
    digits: Dataset, mnist: Mnist, *, sources: tuple[str, ...] = (), left_out: int = 0
) -> CustomDigits:
    """Divides digits into splits; equal pictures come into the same one.

    A picture of MNIST comes into the split that it has there, so that no test digit is trained on.
    A whole copy of MNIST, in any order, is MNIST itself. Of the other pictures of each digit, those
    with the lowest SHA-256 test, a tenth of the different ones, the next tenth validates, and the
    others train. At least one tests and one validates if there are three. When pictures are added,
    those of a split thus stay in it, but for a few near its border. Names and order of the pictures
    do not matter.

    Args:
      digits: images and labels 0 to 9.
      mnist: the MNIST whose pictures are known.
      sources: what the digits come from, for `run.json`.
      left_out: how many pictures were left out, for `run.json`.

    Raises:
      DataError: the images or labels have another form, or a split would be empty.
    """
    images, labels = _check(digits)
    known = {
        key: (split, int(label))
        for split, part in enumerate(mnist)
        for key, label in zip(_hashes(part.images), np.asarray(part.labels), strict=True)
    }
    keys = _hashes(images)
    if len(keys) == len(known) == len(set(keys)) and all(
        known.get(key, (0, -1))[1] == label for key, label in zip(keys, labels, strict=True)
    ):
        return CustomDigits(mnist, MNIST_SHA256, sources, left_out)
    split_of = _assign_splits(keys, labels, {key: split for key, (split, _) in known.items()})
    order = sorted(range(len(keys)), key=lambda k: (keys[k], labels[k]))
    rows = [[k for k in order if split_of[keys[k]] == split] for split in range(len(SPLITS))]
    splits = Mnist(*(Dataset(images[part], labels[part]) for part in rows))
    if empty := [name for name, part in zip(SPLITS, rows, strict=True) if not part]:
        raise DataError(
            f"expected pictures for training, validation and test, found {len(set(keys)):,} "
            f"different ones, and none for {' and '.join(empty)}. Pictures of MNIST keep their "
            "split there; of others, at least three different ones of a digit are needed. Add "
            "pictures."
        )
    return CustomDigits(splits, _sha256(splits), sources, left_out)


def _assign_splits(
    keys: list[bytes], labels: np.ndarray, known: dict[bytes, int]
) -> dict[bytes, int]:
    """Returns the split of each picture, by its hash."""
    label_of: dict[bytes, int] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        label_of[key] = min(label, label_of.get(key, label))  # one picture may have two labels
    split_of = {key: known[key] for key in label_of if key in known}
    by_label = defaultdict(list)
    for key in sorted(label_of.keys() - split_of.keys()):
        by_label[label_of[key]].append(key)
    for group in by_label.values():
        held_out = max(round(len(group) / HELD_OUT), 1) if len(group) >= 3 else 0
        for rank, key in enumerate(group):
            split_of[key] = 2 if rank < held_out else 1 if rank < 2 * held_out else 0
    return split_of


def _check(digits: Dataset) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(digits.images), np.asarray(digits.labels)
    is_form = images.dtype == np.uint8 and images.shape == (len(labels), 28, 28)
    if not is_form or not len(labels) or labels.dtype.kind not in "ui" or labels.max() > 9:
        raise DataError(
            "expected digits as uint8 images [n, 28, 28], ink bright on black, and labels 0 to 9; "
            f"found {images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}. "
            "Frame them with digits_jax.data.custom.framing.frame_arrays."
        )
    return images, labels.astype(np.uint8)


def _hashes(images: Any) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in np.asarray(images)]


def _sha256(splits: Mnist) -> str:
    digest = hashlib.sha256()
    for array in (array for split in splits for array in split):
        array = np.ascontiguousarray(array)
        digest.update(idx_header(array.shape))
        digest.update(array.data)
    return digest.hexdigest()
