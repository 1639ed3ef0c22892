"""Pictures and arrays of digits, of any size, framed as MNIST's digits are."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset
from digits_jax.images.mnist_format import MNIST_SIDE, frame_single_digit
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.runtime.errors import ArgumentError


class RawDigits(NamedTuple):
    """Arrays as a file holds them."""

    name: str  # of the file, for messages
    images: np.ndarray  # [n, h, w], [n, h, w, c] or [n, h·w], of any numbers
    labels: np.ndarray  # [n] or [n, 1]
    transposed: bool = False  # whether rows and columns are exchanged, as in EMNIST


class FramedDigits(NamedTuple):
    """Digits in MNIST's format, and what had to be left out."""

    digits: Dataset
    left_out: tuple[str, ...] = ()  # a sentence for each picture or kind of pictures
    left_out_count: int = 0  # of pictures


def frame_picture(
    picture: UInt8[np.ndarray, "h w *channels"],
) -> UInt8[np.ndarray, "28 28"]:
    """Finds the ink of a picture of one digit, and frames it as `digits-jax classify` does.

    A picture of 28×28 px with ink on black is in MNIST's format, and is returned unchanged.

    Args:
      picture: as `read_image` returns it with `colour=True`.

    Raises:
      ArgumentError: the picture is blank.
    """
    is_framed = picture.shape == (MNIST_SIDE, MNIST_SIDE) and is_ink_on_black(picture)
    return frame_single_digit(picture if is_framed else normalise(picture))


def frame_arrays(raw: RawDigits) -> FramedDigits:
    """Frames the digits of a file.

    Grey values may have any range: the darkest of all becomes black and the brightest white. Those
    from 0 to 255 are left as they are. If most pixels of a file are bright, its ink is dark, and
    all pictures are turned to negatives. Pictures of 28×28 px are not framed anew.

    Args:
      raw: the arrays. Examples whose label is none of 0 to 9 are left out, and so are blank ones.

    Raises:
      DataError: the arrays are not images and labels of digits.
    """
    images, labels = _check_images(raw), _check_labels(raw)
    if len(images) != len(labels):
        raise DataError(
            f"{raw.name}: expected as many labels as pictures, found {len(labels):,} labels and "
            f"{len(images):,} pictures. Get the files again."
        )
    is_digit = (labels >= 0) & (labels <= 9)
    notes = []
    if other := int((~is_digit).sum()):
        notes.append(f"{raw.name}: {other:,} pictures whose label is none of 0 to 9")
    images, labels = images[is_digit], labels[is_digit].astype(np.uint8)
    if raw.transposed:
        images = images.swapaxes(1, 2)
    if images.ndim == 3:
        images = _bright_on_black(images) if len(images) else images.astype(np.uint8)
    framed, kept = _frame_each(images)
    if blank := len(images) - len(kept):
        notes.append(f"{raw.name}: {blank:,} blank pictures")
    return FramedDigits(Dataset(framed, labels[kept]), tuple(notes), other + blank)


def stack_digits(images: Sequence[UInt8[np.ndarray, "28 28"]]) -> UInt8[np.ndarray, "n 28 28"]:
    """Returns framed digits, of which there may be none, as one array."""
    return np.stack(images) if images else np.zeros((0, MNIST_SIDE, MNIST_SIDE), np.uint8)


def _frame_each(images: np.ndarray) -> tuple[UInt8[np.ndarray, "n 28 28"], list[int]]:
    """Returns the framed digits, and the rows of those that are not blank."""
    if images.shape[1:] == (MNIST_SIDE, MNIST_SIDE):  # framed already
        is_inked = images.min(axis=(1, 2)) < images.max(axis=(1, 2))
        return images[is_inked], np.flatnonzero(is_inked).tolist()
    frame = frame_single_digit if images.ndim == 3 else frame_picture
    framed, kept = [], []
    for k, image in enumerate(images):
        with suppress(ArgumentError):  # blank
            framed.append(frame(np.ascontiguousarray(image)))
            kept.append(k)
    return stack_digits(framed), kept


def _check_images(raw: RawDigits) -> np.ndarray:
    """Returns the images as [n, h, w] of numbers, or as [n, h, w, c] uint8 in colour."""
    images = raw.images
    if images.dtype.kind not in "buif" or not images.size or not np.isfinite(images).all():
        raise DataError(
            f"{raw.name}: expected pictures as finite numbers, found an array {list(images.shape)} "
            f"of type {images.dtype}. Store the grey values."
        )
    if images.ndim == 2 and math.isqrt(images.shape[1]) ** 2 == images.shape[1]:
        side = math.isqrt(images.shape[1])
        return images.reshape(-1, side, side)
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(axis=3 if images.shape[3] == 1 else 1)
    if images.ndim == 3 and min(images.shape[1:]) >= 4:
        return images
    if images.ndim == 4 and images.shape[3] == 3 and images.dtype == np.uint8:
        return images
    raise DataError(
        f"{raw.name}: expected pictures as an array [n, height, width], [n, height · width] with "
        f"equal sides, or [n, height, width, 3] of uint8; found {list(raw.images.shape)} of type "
        f"{raw.images.dtype}. Reshape it."
    )


def _check_labels(raw: RawDigits) -> np.ndarray:
    labels = raw.labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    is_numeric = labels.dtype.kind in "uif" and labels.ndim == 1
    if not is_numeric or not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        raise DataError(
            f"{raw.name}: expected the labels 0 to 9, one for each picture; found an array "
            f"{list(raw.labels.shape)} of type {raw.labels.dtype}. Store whole numbers."
        )
    return labels.astype(np.int64)


def _bright_on_black(images: np.ndarray) -> UInt8[np.ndarray, "n h w"]:
    low, high = float(images.min()), float(images.max())
    if images.dtype.kind in "ui" and low >= 0 and 128 <= high <= 255:
        grey = images.astype(np.uint8)
    else:
        scale = 255 / (high - low) if high > low else 0.0
        grey = np.rint((images.astype(np.float64) - low) * scale).astype(np.uint8)
    return grey if 2 * np.count_nonzero(grey < 128) >= grey.size else 255 - grey
