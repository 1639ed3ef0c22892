"""Connected components of ink, cut out and framed as a digit would be."""

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.mnist_format import MNIST_SIDE, frame_digit

INK = 77  # grey values above it are ink: 0.3 of 255
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner are connected


def largest_component(image: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Returns the mask of the largest 8-connected component of ink; empty without ink."""
    labels, count = ndimage.label(image > INK, EIGHT_NEIGHBOURS)
    if not count:
        return np.zeros(image.shape, bool)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def frame_component(
    image: UInt8[np.ndarray, "_ _"], mask: Bool[np.ndarray, "_ _"], margin: int
) -> UInt8[np.ndarray, "28 28"]:
    """Erases all that is not of a component, and frames the component as MNIST's digits are.

    Args:
      image: ink bright on black.
      mask: the pixels of the component; at least one.
      margin: px around the mask that are kept as well: the fainter edge of the ink.
    """
    if margin:
        mask = ndimage.binary_dilation(mask, EIGHT_NEIGHBOURS, margin)
    x0, y0, x1, y1 = mask_to_box(mask)
    own = np.where(mask, image, 0).astype(np.uint8)[y0:y1, x0:x1]
    # A crop of 28×28 px would be taken for a framed digit, and one of a single grey for none.
    own = np.pad(own, 1 if own.shape != (MNIST_SIDE - 2,) * 2 else 2)
    return frame_digit(own)


def crop_to_ink(image: UInt8[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "_ _"]:
    """Crops an image to the tight box of its ink; there must be some."""
    x0, y0, x1, y1 = mask_to_box(image > INK)
    return image[y0:y1, x0:x1]
