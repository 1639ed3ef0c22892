"""A grey ramp, colours, and files of them, for tests of `read_image`."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits_jax.images.read import read_image

RAMP = np.linspace(0, 255, 24 * 40).round().astype(np.uint8).reshape(24, 40)
GREY = Image.fromarray(RAMP)
COLOURS = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
LUMA = (COLOURS @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)


def save_image(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    """Writes an image file and returns its path.

    A copy is written: Pillow leaves the options of a save on the image, and uses them again when
    the image is appended to another one.
    """
    image.copy().save(folder / name, **options)
    return folder / name


def max_difference(path: Path, expected: np.ndarray = RAMP) -> int:
    """Returns the largest difference of a file from what was drawn, in grey levels."""
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    return int(np.abs(pixels.astype(int) - expected).max())
