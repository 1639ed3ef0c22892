"""Detection in many images of any sizes, one after another, that keeps the device at work.

While the device searches one batch, workers decode the images of the next, and of the one before
the boxes are cut. No more than a few images are in memory at any time, and their order is kept.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from digits_jax.detect import (
    CAPACITY,
    MAX_SIZE,
    MIN_SCORE,
    MIN_SIZE,
    Detections,
    boxed,
    framed,
    framed_shape,
)
from digits_jax.network import Params
from digits_jax.peaks import Peaks, find_peaks, sizes_between

WORKERS = 4  # that decode; Pillow lets go of Python's lock meanwhile
AHEAD = 8  # images decoded before they are asked for
BATCH_PIXELS = 8 * 1024**2  # in a batch on accelerators; a CPU is kept busy by one image

Item = TypeVar("Item")
Read = TypeVar("Read")
Grey = UInt8[np.ndarray, "_ _"]
Batch = list[tuple[Item, Grey]]


def read_ahead(read: Callable[[Item], Read], items: Iterable[Item]) -> Iterator[tuple[Item, Read]]:
    """Each item and what `read` makes of it, in order; workers read the next ones meanwhile.

    What `read` raises for an item is raised in its turn.
    """
    pool = ThreadPoolExecutor(WORKERS)
    waiting: deque[tuple[Item, Future[Read]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > AHEAD:
                first, reading = waiting.popleft()
                yield first, reading.result()
        while waiting:
            first, reading = waiting.popleft()
            yield first, reading.result()
    finally:
        pool.shutdown(cancel_futures=True)


def detect_each(
    params: Params,
    images: Iterable[tuple[Item, Grey]],
    *,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    min_score: float = MIN_SCORE,
    capacity: int = CAPACITY,
) -> Iterator[tuple[Item, Grey, Detections]]:
    """Finds every digit in each image, in order, a batch ahead of what has been asked for.

    Args:
      params: as for `detect`.
      images: `[H, W]` uint8, ink bright, of any sizes, each with what it is to be called. Those
        that follow each other in one of the shapes that are compiled are searched together.
      min_size: as for `detect`, and so are the others.
      max_size: the largest digits' size, px.
      min_score: the least margin of a digit, 0–1.
      capacity: the most digits to find in an image.

    Yields:
      What the image is called, the image, and the digits found in it.
    """
    find = partial(find_peaks, sizes=sizes_between(min_size, max_size), capacity=capacity)
    under_way: deque[tuple[Batch[Item], list[np.ndarray], Peaks]] = deque()
    for batch in _batches(images):
        pixels = [image.astype(np.float32) / 255 for _, image in batch]
        missing = _batch_size(_shape(batch[0][1])) - len(batch)
        filled = np.concatenate([framed(image[None]) for image in pixels])
        filled = np.pad(filled, ((0, missing), (0, 0), (0, 0)))
        extents = jnp.array([image.shape for image in pixels] + [(0, 0)] * missing)
        peaks = find(params, jnp.asarray(filled[..., None]), extents, min_score)
        under_way.append((batch, pixels, peaks))
        if len(under_way) > 1:
            yield from _found(*under_way.popleft())
    while under_way:
        yield from _found(*under_way.popleft())


def _batches(images: Iterable[tuple[Item, Grey]]) -> Iterator[Batch[Item]]:
    """Images of one compiled shape that follow each other, up to what is searched at once."""
    batch: Batch[Item] = []
    for item, image in images:
        shape = _shape(image)
        if batch and shape != _shape(batch[0][1]):
            yield batch
            batch = []
        batch.append((item, image))
        if len(batch) == _batch_size(shape):
            yield batch
            batch = []
    if batch:
        yield batch


def _shape(image: Grey) -> tuple[int, int]:
    return framed_shape(*image.shape)


def _batch_size(shape: tuple[int, int]) -> int:
    """How many images of a shape are searched at once: always as many, since each compiles anew."""
    if jax.default_backend() == "cpu":
        return 1
    devices = jax.local_device_count()
    return devices * max(1, BATCH_PIXELS // (devices * shape[0] * shape[1]))


def _found(
    batch: Batch[Item], pixels: Sequence[np.ndarray], peaks: Peaks
) -> Iterator[tuple[Item, Grey, Detections]]:
    found = boxed(pixels, peaks)
    for k, (item, image) in enumerate(batch):
        yield item, image, found.of_image(k)
