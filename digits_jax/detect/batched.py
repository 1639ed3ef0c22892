"""Detection in many images of any sizes, one after another, that keeps the device at work.

While the device searches one batch, workers decode the images of the next, and an accelerator's
boxes of the one before are cut. A few images wait decoded, and their order is kept.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.detector import (
    MAX_DETECTIONS,
    MAX_SIZE,
    MIN_SCORE,
    MIN_SIZE,
    Detections,
    bucket_shape,
    check_arguments,
    pad_to_bucket,
    postprocess,
)
from digits_jax.detect.peaks import Candidates, find_peaks, pyramid_sizes
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import Params
from digits_jax.runtime.compilation_cache import aot_cached

BATCH_PIXELS = 8 * 1024**2  # in a batch on accelerators; a CPU is kept busy by one image

Item = TypeVar("Item")
Grey = UInt8[np.ndarray, "_ _"]
Batch = list[tuple[Item, Grey]]


def detect_each(
    params: Params,
    images: Iterable[tuple[Item, Grey]],
    *,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    min_score: float = MIN_SCORE,
    capacity: int = MAX_DETECTIONS,
) -> Iterator[tuple[Item, Grey, Detections]]:
    """Finds every digit in each image, in order, on accelerators a batch ahead of what is asked.

    Args:
      params: as for `detect`.
      images: `[H, W]` uint8, ink bright, of any sizes, each with what it is to be called. Those
        that follow each other in one of the shapes that are compiled are searched together.
      min_size: as for `detect`, and so are the others.
      max_size: the largest digits' size, px.
      min_score: the least score of a digit, 0–1.
      capacity: the most candidates for digits in an image.

    Yields:
      What the image is called, the image, and the digits found in it.
    """
    check_arguments(min_score, capacity)
    find = aot_cached(find_peaks, sizes=pyramid_sizes(min_size, max_size), capacity=capacity)
    # A CPU would work on both at once, with the memory of both.
    ahead = 0 if jax.default_backend() == "cpu" else 1
    under_way: deque[tuple[Batch[Item], list[np.ndarray], Candidates]] = deque()
    try:
        for batch in _batches(images):
            pixels = [image.astype(np.float32) / 255 for _, image in batch]
            missing = _filled_up(len(batch)) - len(batch)
            blank = np.zeros((missing, *_shape(batch[0][1])), np.float32)
            filled = np.concatenate([*(pad_to_bucket(image[None]) for image in pixels), blank])
            extents = np.array([image.shape for image in pixels] + [(0, 0)] * missing, np.int32)
            peaks = find(params, filled[..., None], extents, np.float32(min_score))
            under_way.append((batch, pixels, peaks))
            if len(under_way) > ahead:
                yield from _found(*under_way.popleft())
    except Exception:
        while under_way:  # what has been found is not lost
            yield from _found(*under_way.popleft())
        raise
    while under_way:
        yield from _found(*under_way.popleft())


def detect_readable(
    params: Params,
    images: Iterable[tuple[Item, Grey | ImageError]],
    *,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    min_score: float = MIN_SCORE,
) -> Iterator[tuple[Item, tuple[Grey, Detections] | ImageError]]:
    """As `detect_each`; why an image could not be read, in place of one, comes out in its place."""
    unreadable: deque[tuple[int, Item, ImageError]] = deque()

    def readable() -> Iterator[tuple[tuple[int, Item], Grey]]:
        for k, (item, image) in enumerate(images):
            if isinstance(image, ImageError):
                unreadable.append((k, item, image))
            else:
                yield (k, item), image

    each = detect_each(
        params, readable(), min_size=min_size, max_size=max_size, min_score=min_score
    )
    for (k, item), image, found in each:
        while unreadable and unreadable[0][0] < k:
            yield unreadable.popleft()[1:]
        yield item, (image, found)
    for _, item, error in unreadable:
        yield item, error


def _batches(images: Iterable[tuple[Item, Grey]]) -> Iterator[Batch[Item]]:
    """Images of one compiled shape that follow each other, up to what is searched at once."""
    batch: Batch[Item] = []
    try:
        for item, image in images:
            shape = _shape(image)
            if batch and shape != _shape(batch[0][1]):
                yield batch
                batch = []
            batch.append((item, image))
            if len(batch) == _batch_size(shape):
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _shape(image: Grey) -> tuple[int, int]:
    return bucket_shape(*image.shape)


def _batch_size(shape: tuple[int, int]) -> int:
    """The most images of a shape that are searched at once."""
    if jax.default_backend() == "cpu":
        return 1
    return max(jax.local_device_count(), BATCH_PIXELS // (shape[0] * shape[1]))


def _filled_up(count: int) -> int:
    """One of few numbers of images, since each compiles anew, that the devices can share out."""
    if count == 1:
        return 1
    devices = jax.local_device_count()
    return devices * (1 << (-(-count // devices) - 1).bit_length())


def _found(
    batch: Batch[Item], pixels: Sequence[np.ndarray], peaks: Candidates
) -> Iterator[tuple[Item, Grey, Detections]]:
    found = postprocess(pixels, peaks)
    for k, (item, image) in enumerate(batch):
        yield item, image, found.of_image(k)
