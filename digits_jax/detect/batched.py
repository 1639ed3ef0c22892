"""Batches of images of any sizes, in order, for a device that works ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.detections import Detections
from digits_jax.images.read import ImageError

BATCH_PIXELS = 8 * 1024**2  # px of a batch on an accelerator; one image keeps a CPU busy

Name = TypeVar("Name")
Started = TypeVar("Started")
Grey = UInt8[np.ndarray, "_ _"]
Batch = list[tuple[Name, Grey]]
Shape = tuple[int, int]


def batch_by_bucket(
    images: Iterable[tuple[Name, Grey]],
    bucket: Callable[[int, int], Shape],
    batch_size: Callable[[Shape], int],
) -> Iterator[Batch[Name]]:
    """Yields batches of consecutive images that share a bucket.

    If `images` raises, the images before are yielded first.

    Args:
      images: names and `[h, w]` images of any sizes.
      bucket: returns the padded shape of an image's height and width, as `bucket_shape`.
      batch_size: returns the most images of a padded shape in a batch.
    """
    batch: Batch[Name] = []
    shape = (0, 0)
    try:
        for name, image in images:
            last, shape = shape, bucket(*image.shape)
            if batch and shape != last:
                yield batch
                batch = []
            batch.append((name, image))
            if len(batch) == batch_size(shape):
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def default_batch_size(shape: Shape) -> int:
    """Returns the most images of a padded shape, in px, that are searched at once."""
    if jax.default_backend() == "cpu":
        return 1
    return max(jax.local_device_count(), BATCH_PIXELS // (shape[0] * shape[1]))


def padded_batch_size(count: int) -> int:
    """Returns the number of images to which a batch is padded: one of few, since each is compiled.

    It is 1, or the number of devices times a power of two.
    """
    if count == 1:
        return 1
    devices = jax.local_device_count()
    return devices * (1 << (-(-count // devices) - 1).bit_length())


def run_ahead(started: Iterable[Started], ahead: int) -> Iterator[Started]:
    """Yields work after `ahead` more of it have been started; all that was, before an exception.

    Args:
      started: starts a piece of work each time it is advanced.
      ahead: how many more pieces to start before one is yielded.
    """
    waiting: deque[Started] = deque()
    try:
        for work in started:
            waiting.append(work)
            if len(waiting) > ahead:
                yield waiting.popleft()
    except Exception:
        yield from waiting
        raise
    yield from waiting


def detect_readable(
    detect_each: Callable[
        [Iterator[tuple[tuple[int, Name], Grey]]],
        Iterator[tuple[tuple[int, Name], Grey, Detections]],
    ],
    images: Iterable[tuple[Name, Grey | ImageError]],
) -> Iterator[tuple[Name, tuple[Grey, Detections] | ImageError]]:
    """Runs a detection on the images that could be read, and passes the errors of the others on.

    Args:
      detect_each: `Detector.detect_each`.
      images: names, each with its image or with the error that reading it raised.

    Yields:
      Each name with its image and detections, or with its error, in the order given.
    """
    unreadable: deque[tuple[int, Name, ImageError]] = deque()

    def readable() -> Iterator[tuple[tuple[int, Name], Grey]]:
        for k, (name, image) in enumerate(images):
            if isinstance(image, ImageError):
                unreadable.append((k, name, image))
            else:
                yield (k, name), image

    for (k, name), image, detections in detect_each(readable()):
        while unreadable and unreadable[0][0] < k:
            yield unreadable.popleft()[1:]
        yield name, (image, detections)
    for _, name, error in unreadable:
        yield name, error
