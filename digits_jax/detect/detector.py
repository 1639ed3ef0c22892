"""Detection of every digit in an image: `Detector`, and `detect` and `detect_batch` on top of it.

An image is padded to a bucket and searched on the device by one jitted program
(`find_detections`). The tight boxes are cut on the host (`postprocess`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Num

from digits_jax.detect.batched import (
    Grey,
    Name,
    batch_by_bucket,
    default_batch_size,
    padded_batch_size,
    run_ahead,
)
from digits_jax.detect.boxes import tight_box
from digits_jax.detect.config import DEFAULT_CONFIG, BoxConfig, DetectorConfig
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.padding import MIN_BUCKET, bucket_shape, pad_to_bucket
from digits_jax.detect.peaks import Candidates
from digits_jax.detect.pipeline import find_detections
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import Params
from digits_jax.runtime.compilation_cache import aot_cached
from digits_jax.runtime.errors import ArgumentError

Pixels = Float32[np.ndarray, "_ _"]


class Detector:
    """Finds digits in images, one by one, in a batch of one size, or in a stream of any sizes."""

    def __init__(
        self,
        params: Params,
        config: DetectorConfig = DEFAULT_CONFIG,
        *,
        precision: lax.Precision = lax.Precision.HIGHEST,
        min_bucket: int = MIN_BUCKET,
        log: Callable[[str], None] | None = None,
    ):
        """Keeps the arguments; nothing is compiled yet.

        Args:
          params: as `load_pretrained` or `load_checkpoint` return them.
          config: the constants of detection.
          precision: that of the matrix products, as for `response_maps`.
          min_bucket: the side in px of the smallest shape that images are padded to.
          log: receives a line of text before `detect_each` compiles for another size of images.
            With several devices it receives none, since JAX alone caches programs there.
        """
        self.params, self.config = params, config
        self._log = log
        self._min_bucket = min_bucket
        # The program takes min_score as an array: configs that differ in scores share a program.
        static = dataclasses.replace(config, min_score=0.0, photo_min_score=0.0)
        self._static: dict[str, Any] = {"config": static, "precision": precision}

    def detect(self, image: Num[Array | np.ndarray, "..."]) -> Detections:
        """Finds every digit in an image.

        Args:
          image: `[H, W]` or `[H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.

        Raises:
          ArgumentError: the image is not as above.
        """
        image = np.asarray(image)
        if image.ndim == 3 and image.shape[-1] == 1:
            image = image[..., 0]
        if image.ndim != 2:
            raise ArgumentError(
                f"expected one image [H, W] or [H, W, 1]; got {list(image.shape)}; give several "
                "images of one size to detect_batch"
            )
        return self.detect_batch(image[None]).of_image(0)

    def detect_batch(self, images: Num[Array | np.ndarray, "..."]) -> BatchDetections:
        """Finds every digit in images of one size, which are searched together.

        Args:
          images: `[n, H, W]` or `[n, H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.

        Raises:
          ArgumentError: the images are not as above.
        """
        pixels = _to_pixels(np.asarray(images))
        candidates = self._search(
            partial(find_detections, **self._static), list(pixels), len(pixels)
        )
        return postprocess(pixels, candidates, self.config.boxes)

    def detect_each(
        self,
        images: Iterable[tuple[Name, Grey]],
        *,
        batch_size: Callable[[tuple[int, int]], int] = default_batch_size,
    ) -> Iterator[tuple[Name, Grey, Detections]]:
        """Finds every digit in each image of a stream, in order.

        Consecutive images of one bucket are searched together. While an accelerator searches a
        batch, the boxes of the one before are cut and the images of the next are read. Compiled
        programs are kept on disk where the compilation cache is on.

        Args:
          images: names and `[H, W]` uint8 images of any sizes, ink bright.
          batch_size: returns the most images of a padded shape, in px, that are searched at once.

        Yields:
          The name, the image, and its detections. If `images` raises, the images before it are
          yielded first.
        """
        find = aot_cached(find_detections, on_compile=self._log_compilation, **self._static)

        def start() -> Iterator[tuple[list[tuple[Name, Grey]], list[Pixels], Candidates]]:
            bucket = partial(bucket_shape, min_bucket=self._min_bucket)
            for batch in batch_by_bucket(images, bucket, batch_size):
                pixels = [uint8_to_float(image) for _, image in batch]
                yield batch, pixels, self._search(find, pixels, padded_batch_size(len(batch)))

        # On a CPU, the batch ahead would only compete for its cores and memory.
        ahead = 0 if jax.default_backend() == "cpu" else 1
        for batch, pixels, candidates in run_ahead(start(), ahead):
            detections = postprocess(pixels, candidates, self.config.boxes)
            for k, (name, image) in enumerate(batch):
                yield name, image, detections.of_image(k)

    def _search(
        self, find: Callable[..., Candidates], pixels: Sequence[Pixels], count: int
    ) -> Candidates:
        """Starts the search of images of one bucket, padded to `count` images."""
        batch, extents = pad_to_bucket(pixels, count, min_bucket=self._min_bucket)
        return find(self.params, batch, extents, np.float32(self.config.min_score))

    def _log_compilation(self, params: Params, images: np.ndarray, *_: Any) -> None:
        if self._log:
            height, width = images.shape[1:3]
            self._log(
                f"compiling for images of up to {width}×{height} px (once per image size; cached "
                "for the next run)"
            )


def detect(
    params: Params,
    image: Num[Array | np.ndarray, "..."],
    *,
    min_size: float | None = None,
    max_size: float | None = None,
    min_score: float | None = None,
    max_detections: int | None = None,
    capacity: int | None = None,
    config: DetectorConfig = DEFAULT_CONFIG,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Detections:
    """Finds every digit in an image, of the sizes from `min_size` to `max_size`.

    Args:
      params: as `load_pretrained` or `load_checkpoint` return them.
      image: `[H, W]` or `[H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.
      min_size: the smallest digits' size in px: the side of the 28 px square that such a digit
        fills as MNIST's do; by default 15.
      max_size: the largest digits' size in px; by default 100. With both 28, one scale is
        searched, as in the paper.
      min_score: the lowest score of a detection, 0–1; by default 0.3. Below 0.3 the result also
        contains candidates that overlap a better one and may be a second digit.
      max_detections: the most candidates that are examined; by default 256. `truncated` tells
        whether there were more.
      capacity: the former name of `max_detections`.
      config: the constants of detection; the arguments above replace its fields.
      precision: that of the matrix products, as for `response_maps`.

    Returns:
      The detections, in pixels of the image as given.

    Raises:
      ArgumentError: the image or an argument is not as above.
    """
    config = _override(config, min_size, max_size, min_score, max_detections, capacity)
    return Detector(params, config, precision=precision).detect(image)


def detect_batch(
    params: Params,
    images: Num[Array | np.ndarray, "..."],
    *,
    min_size: float | None = None,
    max_size: float | None = None,
    min_score: float | None = None,
    max_detections: int | None = None,
    capacity: int | None = None,
    config: DetectorConfig = DEFAULT_CONFIG,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> BatchDetections:
    """Finds every digit in images of one size, `[n, H, W]` or `[n, H, W, 1]`.

    The other arguments and the errors are those of `detect`.
    """
    config = _override(config, min_size, max_size, min_score, max_detections, capacity)
    return Detector(params, config, precision=precision).detect_batch(images)


def postprocess(
    images: Iterable[Pixels], candidates: Candidates, config: BoxConfig
) -> BatchDetections:
    """Waits for the device's candidates and cuts a tight box for each detection.

    Args:
      images: `[h, w]` float32 in 0–1, without the blank images that fill the batch.
      candidates: as `find_detections` returns them.
      config: the constants of the boxes.
    """
    host: Any = jax.device_get(candidates)
    valid = host.priority >= 0
    boxes = np.zeros(host.windows_xyxy.shape, np.int64)
    labels = host.labels.astype(np.int64)
    for i, image in enumerate(images):
        for k in np.flatnonzero(valid[i]):
            boxes[i, k] = tight_box(image, host.windows_xyxy[i, k], int(labels[i, k]), config)
    return BatchDetections(boxes, host.windows_xyxy, labels, host.scores, valid, host.truncated)


def _override(
    config: DetectorConfig,
    min_size: float | None,
    max_size: float | None,
    min_score: float | None,
    max_detections: int | None,
    capacity: int | None,
) -> DetectorConfig:
    """Returns the config with the fields replaced that are not None."""
    if max_detections is not None and capacity is not None:
        raise ArgumentError(
            f"expected max_detections or capacity, its former name; got both, {max_detections} and "
            f"{capacity}; leave capacity out"
        )
    fields = {
        "min_size": min_size,
        "max_size": max_size,
        "min_score": min_score,
        "max_detections": capacity if max_detections is None else max_detections,
    }
    changes: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return dataclasses.replace(config, **changes)


def _to_pixels(images: np.ndarray) -> Float32[np.ndarray, "n h w"]:
    """Returns images as float32 in 0–1, without a channel axis; refuses everything else."""
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    shape = list(images.shape)
    if images.ndim != 3:
        raise ArgumentError(f"expected images [n, H, W] or [n, H, W, 1]; got {shape}")
    if images.size == 0:
        raise ArgumentError(f"expected images with pixels in them; got {shape}")
    if images.dtype == np.uint8:
        return uint8_to_float(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise ArgumentError(f"expected float in 0–1 or uint8 in 0–255; got {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # false for NaN as well
        raise ArgumentError(f"expected float images in 0–1, without NaN; got {low} to {high}")
    return images.astype(np.float32)
