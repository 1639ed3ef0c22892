"""Which pictures look like digits, so that they must not be trained against."""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from digits_jax.data.mnist import Dataset
from digits_jax.images.mnist_format import MNIST_SIDE

REFERENCES = 5000  # digits with which pictures are compared
CELL = 2  # px a side of the cells whose mean grey is compared
QUANTILE = 0.7  # of the distances from digits to the nearest other digit of their class, by default
SLIM = 0.3  # ink whose spread across is below this share of its spread along is a bar
UPRIGHT_DEG = 50  # farthest from upright that a bar looks like a 1
BLOCK = 1000  # pictures that are compared at once


class DigitLikeness:
    """Tells pictures that are as near to a digit as digits are to each other.

    The distance of two pictures is that of their mean grey values in cells of 2×2 px, each scaled
    to a Euclidean norm of 1. A picture looks like a digit if its nearest digit is nearer than a
    given share of the digits of the same class are to the nearest other digit of that class. Bars
    that are about upright look like a 1, however thick.

    Args:
      digits: framed digits; some of them are used.
    """

    def __init__(self, digits: Dataset):
        rows = np.linspace(0, len(digits.labels) - 1, min(REFERENCES, len(digits.labels)))
        rows = np.unique(rows.astype(int))
        self._labels = np.asarray(digits.labels)[rows]
        self._references = _to_cells(np.asarray(digits.images)[rows])
        self._own_distances = []  # squared, from each digit of a class to its nearest other
        for label in range(10):
            own = self._references[self._labels == label]
            squared = _squared_distances(own, own)
            np.fill_diagonal(squared, np.inf)
            self._own_distances.append(squared.min(axis=1) if len(own) > 1 else np.zeros(1))

    def __call__(
        self, pictures: UInt8[np.ndarray, "n 28 28"], quantile: float = QUANTILE
    ) -> Bool[np.ndarray, " n"]:
        """Returns which of the pictures look like a digit.

        Args:
          pictures: framed as digits, 0–255, ink bright.
          quantile: of the distances from digits to the nearest other digit of their class, 0–1. A
            picture has to be nearer than that to look like a digit.
        """
        limits = np.array([np.quantile(distances, quantile) for distances in self._own_distances])
        alike = []
        for start in range(0, len(pictures), BLOCK):
            cells = _to_cells(pictures[start : start + BLOCK])
            squared = _squared_distances(cells, self._references)
            nearest = squared.argmin(axis=1)
            distance = squared[np.arange(len(cells)), nearest]
            alike.append(distance < limits[self._labels[nearest]])
        return np.concatenate(alike) | _are_upright_bars(pictures)


def _are_upright_bars(pictures: UInt8[np.ndarray, "n 28 28"]) -> Bool[np.ndarray, " n"]:
    """Returns which pictures show a slim bar, by the principal axes of their ink."""
    grey = pictures / pictures.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    pixel = np.arange(MNIST_SIDE)
    y, x = grey.sum(axis=2), grey.sum(axis=1)  # the mass of each row and of each column
    mean_y, mean_x = y @ pixel, x @ pixel
    yy, xx = y @ pixel**2 - mean_y**2, x @ pixel**2 - mean_x**2
    xy = np.einsum("nij,i,j->n", grey, pixel, pixel, optimize=True) - mean_y * mean_x
    middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    slim = np.maximum(middle - half, 0) < SLIM**2 * (middle + half)
    from_upright = np.abs(np.arctan2(2 * xy, yy - xx)) / 2
    return slim & (from_upright < np.deg2rad(UPRIGHT_DEG))


def _to_cells(pictures: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n _"]:
    side = MNIST_SIDE // CELL
    cells = pictures.reshape(-1, side, CELL, side, CELL).mean(axis=(2, 4), dtype=np.float32)
    cells = cells.reshape(len(pictures), -1)
    return cells / np.linalg.norm(cells, axis=1, keepdims=True)


def _squared_distances(
    a: Float[np.ndarray, "n _"], b: Float[np.ndarray, "m _"]
) -> Float[np.ndarray, "n m"]:
    return (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
