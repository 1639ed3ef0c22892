"""Detection by the search in the components of ink (`method="components"`), the default."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from digits_jax.detect.batched import Grey, Name, batch_by_bucket
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.component_search import search_images
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import classify_block, crop_classifier, crop_mesh
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.strips import InkRows, search_in_strips
from digits_jax.images.mnist_format import MNIST_SIDE
from digits_jax.models.cnn import NUM_CLASSES, Params
from digits_jax.runtime.compilation_cache import aot_cached

IMAGES_AT_ONCE = 32  # on an accelerator: their crops are classified together


class ComponentDetector:
    """Finds digits in the components of an image's ink."""

    def __init__(
        self,
        params: Params,
        config: DetectorConfig,
        *,
        precision: lax.Precision = lax.Precision.HIGHEST,
        log: Callable[[str], None] | None = None,
    ):
        """Keeps the arguments, which are those of `Detector`; nothing is compiled yet."""
        # Blocks for a CPU are small, and its virtual devices would only share its cores.
        self._mesh = None if jax.default_backend() == "cpu" else crop_mesh()
        if self._mesh:  # once, instead of with every block
            params = jax.device_put(params, NamedSharding(self._mesh, P()))
        self.params, self.config = params, config
        self._log = log
        self._static: dict[str, Any] = {
            "contact": config.border_contact,
            "precision": precision,
            "mesh": self._mesh,
        }

    def detect_batch(self, images: UInt8[np.ndarray, "n h w"]) -> BatchDetections:
        """Finds every digit in images of one size: `[n, h, w]` uint8, ink bright."""
        program = partial(classify_block, **self._static)
        return BatchDetections.of_images(self._detect(list(images), program))

    def detect_each(
        self,
        images: Iterable[tuple[Name, Grey]],
        *,
        batch_size: Callable[[tuple[int, int]], int] | None = None,
    ) -> Iterator[tuple[Name, Grey, Detections]]:
        """Finds every digit in each image of a stream, in order, as `Detector.detect_each`.

        On an accelerator, the crops of consecutive images are classified together. Several
        accelerators share them.
        """
        program = aot_cached(classify_block, on_compile=self._log_compilation, **self._static)
        at_once = 1 if jax.default_backend() == "cpu" else IMAGES_AT_ONCE
        size = batch_size or (lambda shape: at_once)
        for batch in batch_by_bucket(images, lambda height, width: (0, 0), size):
            found = self._detect([image for _, image in batch], program)
            for (name, image), detections in zip(batch, found, strict=True):
                yield name, image, detections

    def detect_rows(self, image: InkRows, *, strip_pixels: int) -> Detections:
        """Finds every digit in an image larger than memory, as `Detector.detect_rows`."""
        program = aot_cached(classify_block, on_compile=self._log_compilation, **self._static)
        classify = crop_classifier(self.params, program, self._mesh)
        options: dict[str, Any] = {"log": self._log, "strip_pixels": strip_pixels}
        found = search_in_strips(image, classify, self.config, **options)
        return to_detections(found, self.config.min_score, self.config.max_detections)

    def _detect(
        self, images: Sequence[UInt8[np.ndarray, "_ _"]], program: Callable[..., Any]
    ) -> list[Detections]:
        classify = crop_classifier(self.params, program, self._mesh)
        found = search_images(images, classify, self.config)
        limits = self.config.min_score, self.config.max_detections
        return [to_detections(candidates, *limits) for candidates in found]

    def _log_compilation(self, params: Params, crops: np.ndarray) -> None:
        if self._log:
            self._log(f"compiling for {len(crops)} crops at once (once; cached for the next run)")


def to_detections(
    candidates: Sequence[Candidate], min_score: float, max_detections: int | None
) -> Detections:
    """Returns the candidates of at least min_score by descending score, at most max_detections."""
    kept = sorted((c for c in candidates if c.score >= min_score), key=lambda c: -c.score)
    truncated = max_detections is not None and len(kept) > max_detections
    kept = kept[:max_detections]
    boxes = np.array([c.box for c in kept], np.int64).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.array([c.size for c in kept]).reshape(-1, 1) / 2
    return Detections(
        boxes,
        np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
        np.array([c.label for c in kept], np.int64),
        np.array([c.score for c in kept], np.float32),
        truncated,
        np.array([c.probabilities for c in kept], np.float32).reshape(-1, NUM_CLASSES),
        np.array([c.crop for c in kept], np.uint8).reshape(-1, MNIST_SIDE, MNIST_SIDE),
    )
