"""The ink of images larger than memory: rows of it, as bright on black."""

import numpy as np
from jaxtyping import UInt8

from digits_jax.images.large import LargeImage
from digits_jax.images.normalise import (
    FULL,
    MAX_BLACK_LEVEL,
    estimate_background,
    ink_shares,
    sample_grid,
    to_ink,
    white_level,
)
from digits_jax.runtime.progress import progress

BLOCK_PIXELS = 8 * 2**20  # that are read at a time


class GreyRows:
    """The grey values of an image, for ink that is bright on black already.

    Attributes:
      shape: height and width, px.
      is_ink_on_black: True.
    """

    is_ink_on_black = True

    def __init__(self, image: LargeImage):
        """Keeps the image."""
        self.shape = image.shape
        self._image = image

    def read(self, begin: int, end: int) -> UInt8[np.ndarray, "_ w"]:
        """Returns the rows from `begin` to `end`, the latter exclusive."""
        return self._image.read(slice(begin, end))


class NormalisedRows:
    """The ink that `normalise` finds in an image, the same to the last bit.

    Attributes:
      shape: height and width, px.
      is_ink_on_black: whether at least half of the image is nearly black, as `is_ink_on_black`
        says of an image in memory.
    """

    def __init__(self, image: LargeImage, *, show_progress: bool = False):
        """Reads the image twice: once for its paper, and once for the contrast of its ink.

        Args:
          image: the image.
          show_progress: whether to show on standard error how much is read.

        Raises:
          ImageError: the file is damaged, or values are out of range.
        """
        self.shape = height, width = image.shape
        self._image = image
        rows = max(BLOCK_PIXELS // width, 1)
        blocks = [(begin, min(begin + rows, height)) for begin in range(0, height, rows)]
        grid = sample_grid(height, width)
        samples, black = [], 0
        hidden = not show_progress
        for begin, end in progress(blocks, "block of paper", len(blocks), hidden=hidden):
            pixels = self._pixels(begin, end)
            black += int((pixels <= MAX_BLACK_LEVEL).all(axis=2).sum())
            first = (grid.rows.start - begin) % grid.step  # all blocks begin at or after row 0
            samples.append(pixels[first :: grid.step, grid.columns])
        self.is_ink_on_black = 2 * black >= height * width
        self._background = estimate_background(np.concatenate(samples), grid)
        counts = np.zeros(FULL + 1, np.int64)
        for begin, end in progress(blocks, "block of ink", len(blocks), hidden=hidden):
            counts += np.bincount(self._shares(begin, end).ravel(), minlength=FULL + 1)
        counts[0] = 0
        levels = np.flatnonzero(counts)
        self._white = white_level(levels, counts[levels], height * width)

    def read(self, begin: int, end: int) -> UInt8[np.ndarray, "_ w"]:
        """Returns the rows from `begin` to `end`, the latter exclusive."""
        return to_ink(self._shares(begin, end), self._white)

    def _shares(self, begin: int, end: int) -> np.ndarray:
        return ink_shares(self._pixels(begin, end), begin, self._background)

    def _pixels(self, begin: int, end: int) -> UInt8[np.ndarray, "_ w c"]:
        rows = self._image.read(slice(begin, end), colour=True)
        return rows.reshape(*rows.shape[:2], -1)
