"""MNIST's format: a digit scaled and centred in 28×28 px, with strokes as wide as MNIST's."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from digits_jax.images.mask_box import INK_THRESHOLD, mask_to_box
from digits_jax.runtime.errors import ArgumentError

MNIST_SIDE = 28  # px a side of MNIST's images, the input size of the network
MNIST_DIGIT_SIDE = 20  # px of the longer side of the digit in them

# Stroke widths in MNIST's 28×28 px. Training digits have 1.7, 2.5 and 3.6 px (5, 50 and 95 %); the
# values were chosen on validation digits drawn with other pens.
MIN_STROKE_PX = 1.7  # thinner strokes are widened ...
WIDENED_STROKE_PX = 2.5  # ... to this width
MAX_STROKE_PX = 4.5  # wider strokes are narrowed ...
NARROWED_STROKE_PX = 3.6  # ... to this width
STROKE_IMAGE_SIDE_PX = 160  # longer side of the scaled digit whose stroke width is changed


def frame_digit(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """Scales a digit to 20×20 px at most, and centres it by its centre of mass in 28×28 px.

    The aspect ratio is preserved, and the brightest pixel becomes 255. Pixels fainter than
    `INK_THRESHOLD` of the brightest count as paper when the digit is cropped. MNIST was framed in
    this way (LeCun et al., 1998, Gradient-based learning applied to document recognition, section
    III.A).

    Args:
      image: `[h, w]` uint8, one digit, bright ink. An image of 28×28 px is returned unchanged.

    Returns:
      `[28, 28]` uint8, bright ink on black.

    Raises:
      ArgumentError: all pixels have the same grey value.
    """
    if image.min() == image.max():
        raise ArgumentError(
            f"expected a bright digit on black, got pixels of {image.max()} alone; "
            "give an image with a digit"
        )
    if image.shape == (MNIST_SIDE, MNIST_SIDE):
        return image
    return frame_ink(image)


def frame_single_digit(ink: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """Frames a picture of one digit, by any pen, as `frame_digit` does, in MNIST's stroke width.

    Args:
      ink: `[h, w]` uint8, bright on black. An image of 28×28 px is returned unchanged.

    Raises:
      ArgumentError: all pixels have the same grey value.
    """
    return frame_digit(normalise_stroke_width(ink))


def frame_ink(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """Frames a digit as `frame_digit` does, an image of 28×28 px included.

    Args:
      image: `[h, w]` uint8, ink on black, with at least one pixel of ink.
    """
    scaled = _resize_longer_side(_crop_to_ink(image), MNIST_DIGIT_SIDE)
    digit = scaled / scaled.max()
    height, width = digit.shape
    top, left = _centring_offset(digit.sum(axis=1)), _centring_offset(digit.sum(axis=0))
    framed = np.zeros((MNIST_SIDE, MNIST_SIDE), np.uint8)
    framed[top : top + height, left : left + width] = np.rint(255 * digit)
    return framed


def normalise_stroke_width(image: UInt8[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "_ _"]:
    """Redraws a digit whose strokes are thinner or wider than those of MNIST's digits.

    With d the distance of a pixel of ink from the edge, the stroke width is 4 mean(d), as it is for
    a long strip. A stroke is widened or narrowed by moving its edge: the new ink is where the
    signed distance from the old edge exceeds half of the difference of the widths.

    Args:
      image: `[h, w]` uint8, one digit, bright ink.

    Returns:
      The same array if its stroke width is usual, or if it has 28×28 px or only one grey value.
      Otherwise the digit, cropped and scaled, on black.
    """
    if image.min() == image.max() or image.shape == (MNIST_SIDE, MNIST_SIDE):
        return image
    digit = _resize_longer_side(_crop_to_ink(image), STROKE_IMAGE_SIDE_PX)
    # The padding leaves room for strokes to grow, and makes the digit's border an edge.
    inside = np.pad(digit > digit.max() / 2, STROKE_IMAGE_SIDE_PX // 8)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    # Distances are to the centres of pixels: each is half a pixel too large.
    width = (4 * distance[inside].mean() - 2) * MNIST_DIGIT_SIDE / STROKE_IMAGE_SIDE_PX
    if width < MIN_STROKE_PX:
        target = WIDENED_STROKE_PX
    elif width > MAX_STROKE_PX:
        target = NARROWED_STROKE_PX
    else:
        return image
    distance += (target - width) / 2 * STROKE_IMAGE_SIDE_PX / MNIST_DIGIT_SIDE
    return np.rint(255 * np.clip(distance + 0.5, 0, 1)).astype(np.uint8)


def _crop_to_ink(image: UInt8[np.ndarray, "_ _"]) -> Float[np.ndarray, "_ _"]:
    x0, y0, x1, y1 = mask_to_box(image > INK_THRESHOLD * image.max())
    return image[y0:y1, x0:x1].astype(np.float32)


def _resize_longer_side(digit: Float[np.ndarray, "_ _"], side: int) -> Float[np.ndarray, "_ _"]:
    height, width = (max(1, round(length * side / max(digit.shape))) for length in digit.shape)
    return np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BILINEAR))


def _centring_offset(mass: np.ndarray) -> int:
    """Returns the start of a digit along an axis that puts its centre of mass nearest to 14 px."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(round(MNIST_SIDE / 2 - centre), 0), MNIST_SIDE - len(mass))
