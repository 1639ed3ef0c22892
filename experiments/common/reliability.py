"""Calibration: does a probability or a score say how often what it stands with is right?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from digits_jax.runtime.errors import ArgumentError

BINS = 15  # of the largest probability, as Guo et al. have


class ReliabilityBin(NamedTuple):
    """The predictions whose confidence lies in one part of 0–1."""

    low: float  # bounds of the confidence; the upper one belongs to the next bin, except 1
    high: float
    predictions: int
    mean_confidence: float  # NaN without predictions
    right: float  # share of the predictions that are right, 0–1; NaN without predictions


def reliability(
    confidence: Float[np.ndarray, " n"], is_right: Bool[np.ndarray, " n"], bins: int = 10
) -> list[ReliabilityBin]:
    """Sorts predictions by confidence into equal parts of 0–1 (a reliability diagram).

    Args:
      confidence: of each prediction, 0–1.
      is_right: whether each prediction is right.
      bins: number of parts, at least 1.

    Raises:
      ArgumentError: a confidence is outside 0–1, the lengths differ, or there is no bin.
    """
    if len(confidence) != len(is_right) or bins < 1:
        raise ArgumentError(
            f"expected as many confidences as predictions and at least 1 bin; got "
            f"{len(confidence)} confidences, {len(is_right)} predictions and {bins} bins"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ArgumentError(
            f"expected confidences of 0 to 1; got {confidence.min():g} to {confidence.max():g}"
        )
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(index, confidence, bins) / count
        rights = np.bincount(index, is_right, bins) / count
    edges = np.arange(bins + 1) / bins
    rows = zip(edges, edges[1:], count, means, rights, strict=False)
    return [
        ReliabilityBin(float(a), float(b), int(n), float(m), float(r)) for a, b, n, m, r in rows
    ]


def expected_calibration_error(bins: list[ReliabilityBin]) -> float:
    """Computes the expected calibration error, 0–1 (Guo et al., 2017, equation 3).

    ECE = Σ_b n_b/n · |right_b − mean confidence_b|

    Args:
      bins: what `reliability` returns.

    Raises:
      ArgumentError: there is no prediction in any bin.
    """
    total = sum(row.predictions for row in bins)
    if not total:
        raise ArgumentError("expected at least one prediction; got none")
    return (
        sum(
            row.predictions * abs(row.right - row.mean_confidence)
            for row in bins
            if row.predictions
        )
        / total
    )
