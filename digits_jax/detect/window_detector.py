"""Detection by the exhaustive search of all windows, which is exact and slow (`method="windows"`).

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
from jaxtyping import Float32

from digits_jax.detect.batched import (
    Grey,
    Name,
    batch_by_bucket,
    default_batch_size,
    padded_batch_size,
    run_ahead,
)
from digits_jax.detect.boxes import tight_box
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.padding import MIN_BUCKET, bucket_shape, pad_to_bucket
from digits_jax.detect.peaks import Candidates
from digits_jax.detect.pipeline import find_detections
from digits_jax.detect.steps import BoxConfig
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import Params
from digits_jax.runtime.compilation_cache import aot_cached

Pixels = Float32[np.ndarray, "_ _"]


class WindowDetector:
    """Finds digits by classifying every window of an image pyramid."""

    def __init__(
        self,
        params: Params,
        config: DetectorConfig,
        *,
        precision: lax.Precision = lax.Precision.HIGHEST,
        min_bucket: int = MIN_BUCKET,
        log: Callable[[str], None] | None = None,
    ):
        """Keeps the arguments, which are those of `Detector`; nothing is compiled yet."""
        self.params, self.config = params, config
        self._log = log
        self._min_bucket = min_bucket
        # The program takes min_score as an array: configs that differ in scores share a program.
        static = dataclasses.replace(config, min_score=0.0, photo_min_score=0.0)
        self._static: dict[str, Any] = {"config": static, "precision": precision}

    def detect_batch(self, images: Float32[np.ndarray, "n h w"]) -> BatchDetections:
        """Finds every digit in images of one size: `[n, h, w]` float32 in 0–1, ink bright."""
        find = partial(find_detections, **self._static)
        candidates = self._search(find, list(images), len(images))
        return postprocess(images, candidates, self.config.boxes)

    def detect_each(
        self,
        images: Iterable[tuple[Name, Grey]],
        *,
        batch_size: Callable[[tuple[int, int]], int] | None = None,
    ) -> Iterator[tuple[Name, Grey, Detections]]:
        """Finds every digit in each image of a stream, in order, as `Detector.detect_each`.

        Consecutive images of one bucket are searched together. While an accelerator searches a
        batch, the boxes of the one before are cut and the images of the next are read. Compiled
        programs are kept on disk where the compilation cache is on.
        """
        find = aot_cached(find_detections, on_compile=self._log_compilation, **self._static)

        def start() -> Iterator[tuple[list[tuple[Name, Grey]], list[Pixels], Candidates]]:
            bucket = partial(bucket_shape, min_bucket=self._min_bucket)
            for batch in batch_by_bucket(images, bucket, batch_size or default_batch_size):
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
