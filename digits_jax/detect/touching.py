"""Touching digits: how probable it is that a component of ink is several digits.

A straight line of pixels crosses the strokes of one digit three times at most, and mostly fewer; of
two digits that touch, it crosses those of both. The number of crossings is a classic feature of the
segmentation of touching characters (Casey and Lecolinet, 1996).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

from digits_jax.detect.calibration import margin_log_odds
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import TouchingConfig
from digits_jax.images.mnist_format import MNIST_SIDE

MIN_COVERED = 0.3  # share of a pixel of the scaled mask, 0–1, that is ink: thin strokes stay whole
LEAST_WEIGHT = 0.01  # of a component that the network does not see a digit in


def touching_probabilities(
    digits: Sequence[Candidate | None], crossings: Sequence[int], config: TouchingConfig
) -> list[float]:
    """Returns the probability of each component of an image, 0–1, that it is several digits.

    The log-odds are linear in those of the margin m with which the component is read as one digit,
    in the number c of its stroke crossings, and in the logarithm of its ink a, in px, beside that
    of the others: two digits that touch have twice the ink of one.

        ln(p / (1 − p)) = offset + margin_slope · ln(m / (1 − m)) + crossings_slope · c
                          + ink_slope · (ln a − mean of the others' ln a)

    The mean is weighted by the margins plus 0.01, so dirt hardly counts. Without others, the last
    term is 0.

    Args:
      digits: all components of an image, each read as one digit; None for those that cannot be one,
        whose probability is 1.
      crossings: what `stroke_crossings` returns of each.
      config: the coefficients.
    """
    read = [(digit, count) for digit, count in zip(digits, crossings, strict=True) if digit]
    margins = np.array([digit.margin for digit, _ in read])
    log_odds = config.offset + config.margin_slope * margin_log_odds(margins)
    log_odds += config.crossings_slope * np.array([count for _, count in read])
    log_odds += config.ink_slope * relative_ink([digit for digit, _ in read])
    probabilities = iter((1 / (1 + np.exp(-log_odds))).tolist())
    return [1.0 if digit is None else next(probabilities) for digit in digits]


def relative_ink(digits: Sequence[Candidate]) -> Float[np.ndarray, " n"]:
    """Returns ln a less the weighted mean ln a of the other components, for each component."""
    if len(digits) < 2:
        return np.zeros(len(digits))
    inks = np.log([np.count_nonzero(digit.mask) for digit in digits])
    weights = np.array([digit.margin for digit in digits]) + LEAST_WEIGHT
    weighted = weights * inks
    return np.asarray(inks - (weighted.sum() - weighted) / (weights.sum() - weights))


def stroke_crossings(mask: Bool[np.ndarray, "h w"]) -> int:
    """Returns the most strokes that a row of pixels crosses, plus those of a column and diagonals.

    Masks whose shorter side is more than 28 px are scaled down to it first, so that the ragged edge
    of a stroke in a large picture is not counted.
    """
    scale = MNIST_SIDE / min(mask.shape)
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in mask.shape)
        scaled = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        mask = scaled >= MIN_COVERED
    return sum(_crossings(lines) for lines in (mask, mask.T, _shear(mask), _shear(mask[::-1])))


def _crossings(mask: Bool[np.ndarray, "h w"]) -> int:
    """Returns how many strokes a column of pixels crosses at most."""
    return int((np.count_nonzero(mask[1:] > mask[:-1], axis=0) + mask[0]).max())


def _shear(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h v"]:
    """Moves row k by k pixels to the right, so that diagonals become columns."""
    height, width = mask.shape
    padded = np.zeros((height, width + height), bool)
    padded[:, :width] = mask
    return padded.ravel()[: height * (width + height - 1)].reshape(height, width + height - 1)
