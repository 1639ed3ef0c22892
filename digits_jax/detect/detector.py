"""Detection of every digit in an image: `Detector`, and `detect` and `detect_batch` on top of it.

`DetectorConfig.method` chooses the search: in the components of ink (`ComponentDetector`), or in
all windows (`WindowDetector`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Num, UInt8

from digits_jax.detect.batched import Grey, Name
from digits_jax.detect.calibration import calibrate_scores, to_search_score
from digits_jax.detect.component_detector import ComponentDetector
from digits_jax.detect.config import DEFAULT_CONFIG, UNCALIBRATED, DetectorConfig
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.padding import MIN_BUCKET
from digits_jax.detect.strips import STRIP_PIXELS, InkRows
from digits_jax.detect.window_detector import WindowDetector
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import Params
from digits_jax.runtime.errors import ArgumentError


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
          config: the constants of detection. `config.method` chooses the search.
          precision: that of the matrix products, as for `response_maps`.
          min_bucket: with method "windows", the side in px of the smallest shape that images are
            padded to.
          log: receives a line of text before `detect_each` compiles a program. With several devices
            it receives none, since JAX alone caches programs there.
        """
        self.params, self.config = params, config
        # The search has scores, and so a threshold, of its own.
        least = to_search_score(config.min_score, config.reliability)
        own = dataclasses.replace(config, min_score=least, reliability=UNCALIBRATED)
        self._search: ComponentDetector | WindowDetector
        if config.method == "components":
            self._search = ComponentDetector(params, own, precision=precision, log=log)
        else:
            self._search = WindowDetector(
                params, own, precision=precision, min_bucket=min_bucket, log=log
            )

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
        checked = _check_images(np.asarray(images))
        if isinstance(self._search, ComponentDetector):
            found = self._search.detect_batch(_to_uint8(checked))
        else:
            found = self._search.detect_batch(_to_float(checked))
        return found._replace(scores=self._calibrate(found.scores))

    def detect_each(
        self,
        images: Iterable[tuple[Name, Grey]],
        *,
        batch_size: Callable[[tuple[int, int]], int] | None = None,
    ) -> Iterator[tuple[Name, Grey, Detections]]:
        """Finds every digit in each image of a stream, in order.

        Consecutive images are searched together where that is faster. Compiled programs are kept on
        disk where the compilation cache is on.

        Args:
          images: names and `[H, W]` uint8 images of any sizes, ink bright.
          batch_size: returns the most images that are searched at once; it is given the shape in px
            that they are padded to, which is (0, 0) for method "components". None for a number that
            suits the device.

        Yields:
          The name, the image, and its detections. If `images` raises, the images before it are
          yielded first.
        """
        for name, image, found in self._search.detect_each(images, batch_size=batch_size):
            yield name, image, found._replace(scores=self._calibrate(found.scores))

    def detect_rows(self, image: InkRows, *, strip_pixels: int = STRIP_PIXELS) -> Detections:
        """Finds every digit in an image larger than memory, of which rows are read in strips.

        The digits are those of the whole image. Components of ink are the exception that are higher
        than a strip: they are searched in parts, and `log` receives a line that says so. With
        `log`, progress is shown on standard error.

        Args:
          image: reads rows of the image: `NormalisedRows` or `GreyRows` of `images.ink_rows`.
          strip_pixels: how many pixels a strip usually has.

        Raises:
          ArgumentError: the config's method is "windows".
        """
        if not isinstance(self._search, ComponentDetector):
            raise ArgumentError(
                'expected method "components" for an image larger than memory; got "windows"; '
                "leave the method out, or cut the image into parts"
            )
        found = self._search.detect_rows(image, strip_pixels=strip_pixels)
        return found._replace(scores=self._calibrate(found.scores))

    def _calibrate(self, search_scores: Float32[np.ndarray, "*k"]) -> Float32[np.ndarray, "*k"]:
        return calibrate_scores(search_scores, self.config.reliability)


def detect(
    params: Params,
    image: Num[Array | np.ndarray, "..."],
    *,
    min_size: float | None = None,
    max_size: float | None = None,
    min_score: float | None = None,
    max_detections: int | None = None,
    capacity: int | None = None,
    method: str | None = None,
    config: DetectorConfig = DEFAULT_CONFIG,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Detections:
    """Finds every digit in an image, of the sizes from `min_size` to `max_size`.

    Args:
      params: as `load_pretrained` or `load_checkpoint` return them.
      image: `[H, W]` or `[H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.
      min_size: the smallest digits' size in px: the side of the 28 px square that such a digit
        fills as MNIST's do; by default 12.
      max_size: the largest digits' size in px; by default there is no limit.
      min_score: the lowest score of a detection, 0–1; by default 0.52. Below it the result also
        contains candidates that overlap a better one and may be a second digit.
      max_detections: the most detections that are returned; by default there is no limit.
        `truncated` tells whether there were more.
      capacity: the former name of `max_detections`.
      method: "components", the default, classifies what the components of ink show, and windows
        only where they touch. "windows" classifies every window, as in the paper; with both sizes
        28, at one scale. It is ten to forty times slower on pages.
      config: the constants of detection; the arguments above replace its fields.
      precision: that of the matrix products, as for `response_maps`.

    Returns:
      The detections, in pixels of the image as given.

    Raises:
      ArgumentError: the image or an argument is not as above.
    """
    config = _override(config, min_size, max_size, min_score, max_detections, capacity, method)
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
    method: str | None = None,
    config: DetectorConfig = DEFAULT_CONFIG,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> BatchDetections:
    """Finds every digit in images of one size, `[n, H, W]` or `[n, H, W, 1]`.

    The other arguments and the errors are those of `detect`.
    """
    config = _override(config, min_size, max_size, min_score, max_detections, capacity, method)
    return Detector(params, config, precision=precision).detect_batch(images)


def _override(
    config: DetectorConfig,
    min_size: float | None,
    max_size: float | None,
    min_score: float | None,
    max_detections: int | None,
    capacity: int | None,
    method: str | None,
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
        "method": method,
    }
    changes: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return dataclasses.replace(config, **changes)


def _check_images(images: np.ndarray) -> Num[np.ndarray, "n h w"]:
    """Returns images of uint8, or of float in 0–1, without a channel axis; refuses others."""
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    shape = list(images.shape)
    if images.ndim != 3:
        raise ArgumentError(f"expected images [n, H, W] or [n, H, W, 1]; got {shape}")
    if images.size == 0:
        raise ArgumentError(f"expected images with pixels in them; got {shape}")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ArgumentError(f"expected float in 0–1 or uint8 in 0–255; got {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # false for NaN as well
        raise ArgumentError(f"expected float images in 0–1, without NaN; got {low} to {high}")
    return images


def _to_float(images: Num[np.ndarray, "n h w"]) -> Float32[np.ndarray, "n h w"]:
    return uint8_to_float(images) if images.dtype == np.uint8 else images.astype(np.float32)


def _to_uint8(images: Num[np.ndarray, "n h w"]) -> UInt8[np.ndarray, "n h w"]:
    return images if images.dtype == np.uint8 else np.rint(255 * images).astype(np.uint8)
