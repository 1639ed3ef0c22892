"""Photo normalisation: ink of any colour on paper of any colour becomes bright ink on black."""

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from digits_jax.images.pixels import uint8_to_float

BACKGROUND_STEP_PX = 5  # px between the samples of local medians; smaller in small images
BACKGROUND_RADIUS = 10  # samples to each side: 105 px in all, of which ink fills less than half
NOISE_SIGMAS = 3.0  # differences of fewer standard deviations of the paper's noise are not ink
MIN_CONTRAST_RANGE = 0.25  # of full light: the least divisor, which limits the amplification
STRONGEST_PIXELS = 60  # pixels of ink that set the contrast: about as many as a small digit has
WHITE_QUANTILE = 0.8  # quantile of strong ink that becomes white
MIN_WHITE_CONTRAST = 0.12  # the faintest contrast that becomes white
MAX_BLACK_LEVEL = 8  # of 255: brighter paper is not black


def normalise(image: UInt8[np.ndarray, "h w *channels"]) -> UInt8[np.ndarray, "h w"]:
    """Turns dark ink on light paper, or light ink on dark paper, into bright ink on black.

    Light may fall unevenly, so the paper p of a pixel x is the median of its surroundings. Ink is
    the difference from the paper, as a share of the largest possible difference. This share is the
    same in any light:

    y = max over channels of (|x − p| − 3 g) / (1 − p) where x > p, and of (|x − p| − 3 g) / p
    elsewhere

    with the local noise g = 1.48 median |x − p|. A negative y becomes 0, and a divisor below 0.25
    becomes 0.25. The contrast of the ink is then scaled up to the full range.

    Digits on black, like MNIST's, change by a few grey levels at most, if ink covers less than half
    of their surroundings.

    Args:
      image: `[h, w]` or `[h, w, c]` uint8.

    Returns:
      `[h, w]` uint8, 0 paper, 255 ink.
    """
    height, width = image.shape[:2]
    pixels = uint8_to_float(image.reshape(height, width, -1))
    ink = np.max([_ink(pixels[..., c]) for c in range(pixels.shape[-1])], axis=0)
    ink_count = int(np.count_nonzero(ink))
    if not ink_count:
        return np.zeros((height, width), np.uint8)
    # A thin line or a speck has fewer pixels than that: its stronger half sets the contrast.
    rank = min(STRONGEST_PIXELS, max(ink_count // 2, 1))
    strong = np.partition(ink, -rank, axis=None)[-rank]
    white = max(float(np.quantile(ink[ink >= strong / 2], WHITE_QUANTILE)), MIN_WHITE_CONTRAST)
    return np.rint(255 * np.minimum(ink / white, 1)).astype(np.uint8)


def is_ink_on_black(image: UInt8[np.ndarray, "h w *channels"]) -> bool:
    """Returns whether most of an image is nearly black, as it is around MNIST's digits.

    Args:
      image: `[h, w]` or `[h, w, c]` uint8.
    """
    brightest = image.reshape(*image.shape[:2], -1).max(axis=2)
    return bool(np.median(brightest) <= MAX_BLACK_LEVEL)


def _ink(pixels: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    paper = _local_median(pixels)
    difference = np.abs(pixels - paper)
    noise = 1.4826 * _local_median(difference)  # the standard deviation of Gaussian noise
    possible = np.maximum(np.where(pixels > paper, 1 - paper, paper), MIN_CONTRAST_RANGE)
    return np.maximum(difference - NOISE_SIGMAS * noise, 0) / possible


def _local_median(pixels: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Returns the median around each pixel, computed on a coarse grid and interpolated."""
    step = min(BACKGROUND_STEP_PX, -(-min(pixels.shape) // (2 * BACKGROUND_RADIUS + 1)))
    start = [min(step, side) // 2 for side in pixels.shape]
    samples = pixels[start[0] :: step, start[1] :: step]
    # Odd reflection continues a slope of the light beyond the border. One sample more than the
    # radius is kept, to interpolate at the border.
    padded = np.pad(samples, BACKGROUND_RADIUS + 1, "reflect", reflect_type="odd")
    inner = slice(BACKGROUND_RADIUS, -BACKGROUND_RADIUS)
    medians = ndimage.median_filter(padded, 2 * BACKGROUND_RADIUS + 1)[inner, inner]
    positions = [
        1 + (np.arange(side, dtype=np.float32) - first) / step
        for side, first in zip(pixels.shape, start, strict=True)
    ]
    grid = np.meshgrid(*positions, indexing="ij")
    return ndimage.map_coordinates(medians, grid, order=1, mode="nearest")
