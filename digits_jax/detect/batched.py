"""Batches of images of any sizes, in order, for a device that works ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import UInt8

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

    If `images` raises, the images before it are yielded first.

    Args:
      images: names and `[h, w]` images of any sizes.
      bucket: returns the padded shape for an image's height and width, as `bucket_shape` does.
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
    """Returns the number of images to which a batch is padded.

    It is 1, or the number of devices times a power of two, so that few sizes are compiled.
    """
    if count == 1:
        return 1
    devices = jax.local_device_count()
    return devices * (1 << (-(-count // devices) - 1).bit_length())


def run_ahead(started: Iterable[Started], ahead: int) -> Iterator[Started]:
    """Yields each piece of work once `ahead` more pieces have been started.

    If starting a piece raises, the pieces that were started before are yielded first.

    Args:
      started: starts a piece of work each time it is advanced.
      ahead: the number of pieces to start before the first one is yielded, ≥ 0.
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
