"""Every digit in an image: `detect` for one, `detect_batch` for many of one size.

The image is read at a pyramid of scales and the peaks of its margin found by one jitted program
(`peaks`), which also says which of them stand (`rivals`); the boxes around the ink are cut
afterwards (`ink`).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int64, Num

from digits_jax.detect.boxes import tight_box
from digits_jax.detect.peaks import Candidates, find_peaks, pyramid_sizes
from digits_jax.models.cnn import Params
from digits_jax.models.fcn.response_maps import (
    ResponseMaps,
    patch_maps,
    response_maps,
    window_of_cell,
)
from digits_jax.runtime.errors import ArgumentError

__all__ = [
    "BatchDetections",
    "Detections",
    "ResponseMaps",
    "detect",
    "detect_batch",
    "patch_maps",
    "response_maps",
    "window_of_cell",
]

MIN_SIZE, MAX_SIZE = 15.0, 100.0  # px of the digits to look for
MIN_SCORE = 0.3  # chosen on scenes of validation digits and on photographs
MAX_DETECTIONS = 256  # detections of an image
SMALLEST, LARGE, LARGE_STEP = 64, 1024, 256  # px of the shapes that are compiled


class Detections(NamedTuple):
    """The digits of one image, by descending score."""

    boxes_xyxy: Int64[np.ndarray, "n 4"]  # px of the image, tight around the ink, x1, y1 exclusive
    windows_xyxy: Float32[np.ndarray, "n 4"]  # the windows that found them; may reach beyond
    labels: Int64[np.ndarray, " n"]  # 0–9
    scores: Float32[np.ndarray, " n"]  # 0–1: margins at the peaks, but see `rivals`
    overflow: bool  # whether there were more candidates than the capacity

    def from_score(self, score: float) -> "Detections":
        """Those of at least a score. What there was no room for may have had it, too."""
        sure = self.scores >= score
        boxes, windows, labels, scores = (of_each[sure] for of_each in self[:4])
        return Detections(boxes, windows, labels, scores, self.overflow)


class BatchDetections(NamedTuple):
    """The digits of equal-sized images, by descending score, filled up to the capacity."""

    boxes_xyxy: Int64[np.ndarray, "n k 4"]
    windows_xyxy: Float32[np.ndarray, "n k 4"]
    labels: Int64[np.ndarray, "n k"]
    scores: Float32[np.ndarray, "n k"]
    valid: Bool[np.ndarray, "n k"]  # which entries are digits
    overflow: Bool[np.ndarray, " n"]  # whether an image had more candidates than the capacity

    def of_image(self, i: int) -> Detections:
        """The digits of the i-th image alone."""
        valid = self.valid[i]
        return Detections(
            self.boxes_xyxy[i][valid],
            self.windows_xyxy[i][valid],
            self.labels[i][valid],
            self.scores[i][valid],
            bool(self.overflow[i]),
        )


def detect(
    params: Params,
    image: Num[Array | np.ndarray, "..."],
    *,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    min_score: float = MIN_SCORE,
    capacity: int = MAX_DETECTIONS,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Detections:
    """Finds every digit in an image.

    Args:
      params: as `load_pretrained` or `load_checkpoint` return them.
      image: `[H, W]` or `[H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.
      min_size: the smallest digits' size in px: the side of the 28-px square that it would fill.
      max_size: the largest digits'. With both 28, the paper's single scale.
      min_score: the least score of a digit, 0–1. Below 0.3 it also asks for readings that better
        ones beat and which may be of digits that overlap.
      capacity: the most candidates for digits; `overflow` says that there were more.
      precision: of the maps' products, as for `response_maps`.

    Returns:
      The digits found, in pixels of the image as given.

    Raises:
      ValueError: the image or an argument is not as above.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ArgumentError(f"detect takes one image [H, W] or [H, W, 1]; got {list(image.shape)}")
    found = detect_batch(
        params,
        image[None],
        min_size=min_size,
        max_size=max_size,
        min_score=min_score,
        capacity=capacity,
        precision=precision,
    )
    return found.of_image(0)


def detect_batch(
    params: Params,
    images: Num[Array | np.ndarray, "..."],
    *,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    min_score: float = MIN_SCORE,
    capacity: int = MAX_DETECTIONS,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> BatchDetections:
    """Finds every digit in images of one size: `[n, H, W]` or `[n, H, W, 1]`; else as `detect`."""
    pixels = _pixels(np.asarray(images))
    check_arguments(min_score, capacity)
    peaks = find_peaks(
        params,
        jnp.asarray(pad_to_bucket(pixels)[..., None]),
        jnp.array([pixels.shape[1:]] * len(pixels)),
        min_score,
        sizes=pyramid_sizes(min_size, max_size),
        capacity=capacity,
        precision=precision,
    )
    return postprocess(pixels, peaks)


def postprocess(images: Iterable[Float32[np.ndarray, "_ _"]], peaks: Candidates) -> BatchDetections:
    """What the device has found in images, once it has, with boxes tight around the ink."""
    found: Any = jax.device_get(peaks)
    valid = found.rank >= 0
    boxes = np.zeros(found.windows_xyxy.shape, np.int64)
    labels = found.labels.astype(np.int64)
    for i, image in enumerate(images):  # fewer, where the batch is filled up with blank ones
        for k in np.flatnonzero(valid[i]):
            boxes[i, k] = tight_box(image, found.windows_xyxy[i, k], int(labels[i, k]))
    return BatchDetections(boxes, found.windows_xyxy, labels, found.scores, valid, found.overflow)


def bucket_shape(height: int, width: int) -> tuple[int, int]:
    """The one of few shapes in which an image is searched, since each compiles anew.

    Tiles without ink cost next to nothing, so there is one size an octave, for any shape; of
    large images, where compiling matters less, many.
    """
    largest = max(height, width)
    if largest <= LARGE:
        side = max(SMALLEST, 1 << (largest - 1).bit_length())
        return side, side
    return -(-height // LARGE_STEP) * LARGE_STEP, -(-width // LARGE_STEP) * LARGE_STEP


def pad_to_bucket(pixels: Float32[np.ndarray, "n h w"]) -> Float32[np.ndarray, "n H W"]:
    """The images filled up with zeros to the shape in which they are searched."""
    shape = bucket_shape(*pixels.shape[1:])
    if shape == pixels.shape[1:]:  # a large image, of which a copy would be a waste
        return pixels
    below, beside = (new - old for new, old in zip(shape, pixels.shape[1:], strict=True))
    return np.pad(pixels, ((0, 0), (0, below), (0, beside)))


def check_arguments(min_score: float, capacity: int) -> None:
    """Refuses what the device would take without a word.

    Raises:
      ValueError: min_score is not 0 to 1, or capacity not at least 1.
    """
    if not 0 <= min_score <= 1:
        raise ArgumentError(f"min_score must be 0 to 1; got {min_score}")
    if capacity < 1:
        raise ArgumentError(f"capacity must be at least 1; got {capacity}")


def _pixels(images: np.ndarray) -> Float32[np.ndarray, "n h w"]:
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    shape = list(images.shape)
    if images.ndim != 3:
        raise ArgumentError(f"expected images [n, H, W] or [n, H, W, 1]; got {shape}")
    if images.size == 0:
        raise ArgumentError(f"expected images with pixels in them; got {shape}")
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if not np.issubdtype(images.dtype, np.floating):
        raise ArgumentError(f"expected float in 0–1 or uint8 in 0–255; got {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # false for NaN as well
        raise ArgumentError(f"expected float images in 0–1, without NaN; got {low} to {high}")
    return images.astype(np.float32)
