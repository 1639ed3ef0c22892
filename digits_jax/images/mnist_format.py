"""One digit's image, framed as MNIST's makers framed theirs, and drawn as with their pens."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from digits_jax.images.ink import INK_THRESHOLD, mask_to_box
from digits_jax.runtime.errors import ArgumentError

MNIST_SIDE = 28  # pixels a side of MNIST's images, which the network takes
MNIST_DIGIT_SIDE = 20  # pixels of the longer side of the digit in them
# Of strokes in 28×28 px, on training digits (5, 50 and 95 % of them: 1.7, 2.5 and 3.6 px), and on
# validation digits drawn with other pens.
THIN, THICK = 1.7, 4.5  # px: thinner and thicker strokes ...
WIDENED, NARROWED = 2.5, 3.6  # ... become so wide
FINE = 160  # px of a digit's longer side, in which its strokes' width is measured and changed


def frame_digit(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """Scales a digit to fit 20×20 px, its aspect kept, and centres its mass in 28×28.

    The brightest pixel becomes 255; what is fainter than a seventh of it counts as paper when the
    digit's box is cut out.

    Args:
      image: `[h, w]` uint8, one digit, ink bright; what has 28×28 px already stays as it is.

    Raises:
      ValueError: all pixels are the same.
    """
    if image.min() == image.max():
        raise ArgumentError(f"expected a bright digit on black, got pixels of {image.max()} alone")
    if image.shape == (MNIST_SIDE, MNIST_SIDE):
        return image
    scaled = _scaled(_cut_out(image), MNIST_DIGIT_SIDE)
    digit = scaled / scaled.max()
    height, width = digit.shape
    top, left = _start(digit.sum(axis=1)), _start(digit.sum(axis=0))
    framed = np.zeros((MNIST_SIDE, MNIST_SIDE), np.uint8)
    framed[top : top + height, left : left + width] = np.rint(255 * digit)
    return framed


def normalise_stroke_width(image: UInt8[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "_ _"]:
    """Draws a digit anew, with strokes that MNIST's pens could have drawn, if its own are not such.

    Their width is four times their pixels' mean distance from the edge, which it is for a strip.
    Wider or narrower strokes are what is farther from the edge, or nearer to it, than half of the
    difference (a level of the signed distance).

    Args:
      image: `[h, w]` uint8, one digit, ink bright.

    Returns:
      The same, or the digit cut out and scaled, on black.
    """
    if image.min() == image.max() or image.shape == (MNIST_SIDE, MNIST_SIDE):
        return image
    drawn = _scaled(_cut_out(image), FINE)
    # Room to grow, and for the digit's edge to be one.
    inside = np.pad(drawn > drawn.max() / 2, FINE // 8)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    # Half a pixel of each distance is edge.
    width = (4 * distance[inside].mean() - 2) * MNIST_DIGIT_SIDE / FINE
    usual = WIDENED if width < THIN else NARROWED if width > THICK else width
    if usual == width:
        return image
    distance += (usual - width) / 2 * FINE / MNIST_DIGIT_SIDE
    return np.rint(255 * np.clip(distance + 0.5, 0, 1)).astype(np.uint8)


def _cut_out(image: UInt8[np.ndarray, "_ _"]) -> Float[np.ndarray, "_ _"]:
    x0, y0, x1, y1 = mask_to_box(image > INK_THRESHOLD * image.max())
    return image[y0:y1, x0:x1].astype(np.float32)


def _scaled(digit: Float[np.ndarray, "_ _"], longest: int) -> Float[np.ndarray, "_ _"]:
    height, width = (max(1, round(side * longest / max(digit.shape))) for side in digit.shape)
    return np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BILINEAR))


def _start(mass: np.ndarray) -> int:
    """Where along an axis a digit begins, so that its centre of mass is nearest to pixel 14."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(round(MNIST_SIDE / 2 - centre), 0), MNIST_SIDE - len(mass))
