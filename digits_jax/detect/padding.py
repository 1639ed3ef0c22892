"""Padding of images to buckets: the few shapes that detection is compiled for."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int32

MIN_BUCKET = 64  # px: the side of the smallest bucket
MAX_SQUARE_BUCKET = 1024  # px: up to here buckets are squares whose sides are powers of two
LARGE_STEP = 256  # px: the sides of larger buckets are multiples of this


def bucket_shape(height: int, width: int, *, min_bucket: int = MIN_BUCKET) -> tuple[int, int]:
    """Returns the height and width in px to which an image is padded.

    There are few such buckets, since detection is compiled for each. Small images have one square
    bucket per octave: its blank tiles cost next to nothing. Large images have more buckets, since
    compilation is a small part of their time.

    Args:
      height: of the image, px, at least 1.
      width: of the image, px, at least 1.
      min_bucket: the side of the smallest bucket, px.
    """
    longest = max(height, width)
    if longest <= MAX_SQUARE_BUCKET:
        side = max(min_bucket, 1 << (longest - 1).bit_length())
        return side, side
    return -(-height // LARGE_STEP) * LARGE_STEP, -(-width // LARGE_STEP) * LARGE_STEP


def pad_to_bucket(
    images: Sequence[Float32[np.ndarray, "_ _"]],
    count: int | None = None,
    *,
    min_bucket: int = MIN_BUCKET,
) -> tuple[Float32[np.ndarray, "n H W 1"], Int32[np.ndarray, "n 2"]]:
    """Pads images with zeros to their bucket, and the batch with blank images to `count`.

    Args:
      images: at least one, `[h, w]` float32, all of one bucket.
      count: the number of images in the batch; by default that of `images`.
      min_bucket: as for `bucket_shape`.

    Returns:
      The batch, and the height and width in px of each image in it, 0 and 0 for a blank one.
    """
    count = len(images) if count is None else count
    shape = bucket_shape(*images[0].shape, min_bucket=min_bucket)
    extents = np.zeros((count, 2), np.int32)
    extents[: len(images)] = [image.shape for image in images]
    if count == 1 and images[0].shape == shape:  # a large image is not copied
        return images[0][None, ..., None], extents
    batch = np.zeros((count, *shape, 1), np.float32)
    for k, image in enumerate(images):
        batch[k, : image.shape[0], : image.shape[1], 0] = image
    return batch, extents
