"""Touching digits: how probable it is that a component of ink is several digits.

A straight line of pixels crosses the strokes of one digit three times at most, and mostly fewer; of
two digits that touch, it crosses those of both. The number of crossings is a classic feature of the
segmentation of touching characters (Casey and Lecolinet, 1996).
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from digits_jax.detect.calibration import margin_log_odds
from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import TouchingConfig
from digits_jax.images.mnist_format import MNIST_SIDE

MIN_COVERED = 0.3  # share of a pixel of the scaled mask, 0–1, that is ink: thin strokes stay whole
LEAST_WEIGHT = 0.01  # of a component that the network does not see a digit in


class InkSum(NamedTuple):
    """Sums over the components of an image, each weighted by its margin plus 0.01."""

    number: int  # of components
    weights: float
    weighted_ink: float  # of the weight times ln of the ink in px

    @classmethod
    def of(cls, digits: Sequence[Candidate]) -> "InkSum":
        """Returns the sums over some components."""
        weights, inks = _weights_and_ink(digits)
        return cls(len(digits), float(weights.sum()), float((weights * inks).sum()))

    def __add__(self, other: "InkSum") -> "InkSum":  # type: ignore[override]
        """Returns the sums over the components of both."""
        return InkSum(
            self.number + other.number,
            self.weights + other.weights,
            self.weighted_ink + other.weighted_ink,
        )


def touching_probabilities(
    digits: Sequence[Candidate | None],
    crossings: Sequence[int],
    relative_inks: Sequence[float],
    config: TouchingConfig,
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
      digits: components of an image, each read as one digit; None for those that cannot be one,
        whose probability is 1.
      crossings: what `stroke_crossings` returns of each.
      relative_inks: what `relative_ink` returns of each.
      config: the coefficients.
    """
    columns = zip(digits, crossings, relative_inks, strict=True)
    read = [(digit.margin, *others) for digit, *others in columns if digit]
    margins, counts, inks = np.array(read, float).reshape(-1, 3).T
    log_odds = config.offset + config.margin_slope * margin_log_odds(margins)
    log_odds += config.crossings_slope * counts
    log_odds += config.ink_slope * inks
    probabilities = iter((1 / (1 + np.exp(-log_odds))).tolist())
    return [1.0 if digit is None else next(probabilities) for digit in digits]


def relative_ink(digits: Sequence[Candidate | None], ink_sum: InkSum) -> list[float]:
    """Returns ln a less the weighted mean ln a of the image's other components, for each one.

    Args:
      digits: components of an image, each read as one digit, or None.
      ink_sum: the sums over all components of the image that are not None.
    """
    if ink_sum.number < 2:
        return [0.0] * len(digits)
    weights, inks = _weights_and_ink([digit for digit in digits if digit])
    others = (ink_sum.weighted_ink - weights * inks) / (ink_sum.weights - weights)
    relative = iter((inks - others).tolist())
    return [0.0 if digit is None else next(relative) for digit in digits]


def _weights_and_ink(
    digits: Sequence[Candidate],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Returns the weight of each component, and ln of its ink in px."""
    weights = np.array([digit.margin for digit in digits], float) + LEAST_WEIGHT
    return weights, np.log([float(np.count_nonzero(digit.mask)) for digit in digits])


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
