"""Touching digits: how probable it is that a component of ink is several digits.

A straight line of pixels crosses the strokes of one digit three times at most, and mostly fewer; of
two digits that touch, it crosses those of both. The number of crossings is a classic feature of the
segmentation of touching characters (Casey and Lecolinet, 1996).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from digits_jax.detect.calibration import margin_log_odds
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import TouchingConfig
from digits_jax.images.mnist_format import MNIST_SIDE

MIN_COVERED = 0.3  # share of a pixel of the scaled mask, 0–1, that is ink: thin strokes stay whole
COMPANY = 0.02  # mean probability on a page of separate digits


def touching_probabilities(
    digits: Sequence[Candidate | None], crossings: Sequence[int], config: TouchingConfig
) -> list[float]:
    """Returns the probability of each component of an image, 0–1, that it is several digits.

    The log-odds are linear in those of the margin m with which the component is read as one digit,
    in the number c of its stroke crossings, and in the logarithm of its company q: where other
    components are several digits, this one is, too.

        ln(p / (1 − p)) = ln(p₀ / (1 − p₀)) + company_slope · ln(q / 0.02)
        ln(p₀ / (1 − p₀)) = offset + margin_slope · ln(m / (1 − m)) + crossings_slope · c

    with q the mean p₀ of the other components, among which one of 0.02 is counted in.

    Args:
      digits: all components of an image, each read as one digit; None for those that cannot be one,
        whose probability is 1.
      crossings: what `stroke_crossings` returns of each.
      config: the coefficients.
    """
    read = [k for k, digit in enumerate(digits) if digit is not None]
    margins = np.array([digit.margin for digit in digits if digit is not None])
    own, company = touching_evidence(margins, np.array(crossings, int)[np.array(read, int)], config)
    log_odds = own + config.company_slope * np.log(company / COMPANY)
    probabilities = iter((1 / (1 + np.exp(-log_odds))).tolist())
    return [1.0 if digit is None else next(probabilities) for digit in digits]


def touching_evidence(
    margins: Float[np.ndarray, " n"], crossings: Int[np.ndarray, " n"], config: TouchingConfig
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Returns ln(p₀ / (1 − p₀)) and q of `touching_probabilities` for each component."""
    own = config.offset + config.margin_slope * margin_log_odds(margins)
    own += config.crossings_slope * crossings
    probabilities = 1 / (1 + np.exp(-own))
    return own, (probabilities.sum() - probabilities + COMPANY) / max(len(margins), 1)


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
