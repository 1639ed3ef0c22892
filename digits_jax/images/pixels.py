"""The conversion of grey values from 8 bits to float32."""

from typing import TypeVar

import numpy as np

Pixels = TypeVar("Pixels")  # a NumPy or JAX array


def uint8_to_float(pixels: Pixels) -> Pixels:
    """Returns grey values 0 … 255 as float32 in 0–1: y = x / 255.

    Args:
      pixels: a uint8 array of NumPy or JAX, of any shape.

    Returns:
      An array of the same kind and shape, float32.
    """
    return pixels.astype(np.float32) / 255  # type: ignore[attr-defined]
