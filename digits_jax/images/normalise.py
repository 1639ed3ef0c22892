"""Ink bright on black, as the network was trained on, of whatever ink, paper and light."""

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

SAMPLED = 5  # px between the pixels of which medians are taken, at most
AROUND = 10  # such pixels to each side: of 100 px a side, large digits' ink is less than half
DIM = 0.25  # of full light; in less of it contrast is not brought up as much
GRAIN = 3.0  # standard deviations of the paper's grain that are no ink
STROKES = 60  # the strongest pixels of ink, a small digit's
STRONG = 0.8  # the share of ink that is fainter than what becomes white
FAINTEST = 0.12  # contrast that does
BLACK = 8  # of 255: the brightest paper of ink on black


def normalise(image: UInt8[np.ndarray, "h w *channels"]) -> UInt8[np.ndarray, "h w"]:
    """Ink of any colour on paper of any other, dark on light or light on dark, as bright on black.

    The paper p is the median of a pixel's surroundings, since light falls on it unevenly. Ink is
    what differs from it, either way, as a share of what could differ, which for the same ink is the
    same in any light:

    y = max over channels of (|x − p| − 3 g) / (1 − p) where x > p, and of (|x − p| − 3 g) / p
    elsewhere

    with g = 1.48 median |x − p|, the grain around the pixel. The contrast of the image's ink then
    becomes full. Digits like MNIST's, on black, stay as they are to a few grey levels where less
    than half of their surroundings is ink.

    Args:
      image: `[h, w]` or `[h, w, c]` uint8.

    Returns:
      `[h, w]` uint8, 0 paper, 255 ink.
    """
    height, width = image.shape[:2]
    pixels = image.reshape(height, width, -1).astype(np.float32) / 255
    ink = np.max([_ink(pixels[..., c]) for c in range(pixels.shape[-1])], axis=0)
    inked = int(np.count_nonzero(ink))
    if not inked:
        return np.zeros((height, width), np.uint8)
    nth = min(STROKES, max(inked // 2, 1))  # of a thin line or a speck, the better half
    strongest = np.partition(ink, -nth, axis=None)[-nth]
    white = max(float(np.quantile(ink[ink >= strongest / 2], STRONG)), FAINTEST)
    return np.rint(255 * np.minimum(ink / white, 1)).astype(np.uint8)


def is_ink_on_black(image: UInt8[np.ndarray, "h w *channels"]) -> bool:
    """Whether a picture is ink on black, as MNIST's digits are: most of it is all but black.

    Args:
      image: as for `normalise`.
    """
    brightest = image.reshape(*image.shape[:2], -1).max(axis=2)
    return bool(np.median(brightest) <= BLACK)


def _ink(pixels: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    paper = _median_around(pixels)
    apart = np.abs(pixels - paper)
    grain = 1.4826 * _median_around(apart)  # a standard deviation, if it is Gaussian
    possible = np.maximum(np.where(pixels > paper, 1 - paper, paper), DIM)
    return np.maximum(apart - GRAIN * grain, 0) / possible


def _median_around(pixels: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """The median of each pixel's surroundings, of every few pixels both ways and interpolated."""
    step = min(SAMPLED, -(-min(pixels.shape) // (2 * AROUND + 1)))  # less in small images
    first = [min(step, side) // 2 for side in pixels.shape]
    samples = pixels[first[0] :: step, first[1] :: step]
    # Beyond the image light goes on to rise or fall; one sample more, for what lies on its edge.
    framed = np.pad(samples, AROUND + 1, "reflect", reflect_type="odd")
    medians = ndimage.median_filter(framed, 2 * AROUND + 1)[AROUND:-AROUND, AROUND:-AROUND]
    places = [
        1 + (np.arange(side, dtype=np.float32) - start) / step
        for side, start in zip(pixels.shape, first, strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    return ndimage.map_coordinates(medians, grid, order=1, mode="nearest")
