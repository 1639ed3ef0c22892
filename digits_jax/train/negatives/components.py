"""Connected components of ink, cut out and framed as a digit would be."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.mnist_format import MNIST_SIDE, frame_digit

INK = 77  # grey values above it are ink: 0.3 of 255
EIGHT_NEIGHBOURS = np.ones((3, 3), np.uint8)  # pixels that touch at a corner are connected


def largest_component(image: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Returns the mask of the largest 8-connected component of ink; empty without ink."""
    count, labels = cv2.connectedComponents((image > INK).view(np.uint8), connectivity=8)
    if count == 1:  # the paper
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
        grown = cv2.dilate(mask.view(np.uint8), EIGHT_NEIGHBOURS, iterations=margin)
        mask = grown.view(bool)
    x0, y0, x1, y1 = mask_to_box(mask)
    own = image[y0:y1, x0:x1] * mask[y0:y1, x0:x1]
    # A crop of 28×28 px would be taken for a framed digit, and one of a single grey for none.
    px = 1 if own.shape != (MNIST_SIDE - 2,) * 2 else 2
    return frame_digit(cv2.copyMakeBorder(own, px, px, px, px, cv2.BORDER_CONSTANT))


def crop_to_ink(image: UInt8[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "_ _"]:
    """Crops an image to the tight box of its ink; there must be some."""
    x0, y0, x1, y1 = mask_to_box(image > INK)
    return image[y0:y1, x0:x1]
