"""What is around a candidate: clutter, and digits of a similar size.

The formulas are those of `selection.py`. All clusters of an image count for each candidate, so the
sums are taken of clusters in the order of their ink: n log n operations instead of n².
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class ClusterInk(NamedTuple):
    """The ink of a cluster, and of the candidates in it."""

    total_px: int  # t
    unexplained: float  # u: the share of it that the selected candidates leave unexplained, 0–1
    candidates_px: list[int]  # the ink a of each visited candidate


class Surroundings(NamedTuple):
    """What is around the candidates of a cluster, a number for each."""

    clutter: list[float]  # c, 0–1
    support: list[float]  # n, ≥ 0


def surroundings(clusters: Sequence[ClusterInk], similar_ink: float) -> list[Surroundings]:
    """Returns the clutter and the support around each candidate of each cluster.

    Args:
      clusters: all of an image.
      similar_ink: where the smaller ink ÷ the larger one is at least this share, it is similar.
    """
    total = np.array([cluster.total_px for cluster in clusters], float)
    share = np.array([cluster.unexplained for cluster in clusters], float)
    counts = [len(cluster.candidates_px) for cluster in clusters]
    own = np.repeat(np.arange(len(counts)), counts)
    ink = np.array([px for cluster in clusters for px in cluster.candidates_px], float)
    order = np.argsort(total, kind="stable")
    t, u = total[order], share[order]

    # w = min(t / a, 1): clusters of less ink than the candidate count by their ink.
    less = np.searchsorted(t, ink)
    weights = _sum_below(t, less) / np.maximum(ink, 1) + _sum_from(np.ones_like(t), less)
    weighted = _sum_below(t * u, less) / np.maximum(ink, 1) + _sum_from(u, less)
    own_weight = np.minimum(total[own] / np.maximum(ink, 1), 1)
    clutter = (weighted - own_weight * share[own]) / (weights - own_weight + 1)

    # min(r / s, 1)² with r = min(t, a) / max(t, a): 1 between s·a and a / s.
    least, most = ink * similar_ink, ink / similar_ink
    low, high = np.searchsorted(t, least), np.searchsorted(t, most, "right")
    explained = 1 - u
    inverse = np.divide(explained, t**2, out=np.zeros_like(t), where=t > 0)
    support = _sum_below(t**2 * explained, low) / np.maximum(least, 1e-9) ** 2
    support += _sum_below(explained, high) - _sum_below(explained, low)
    support += _sum_from(inverse, high) * most**2
    ratio = np.minimum(total[own], ink) / np.maximum(np.maximum(total[own], ink), 1)
    support -= np.minimum(ratio / similar_ink, 1) ** 2 * (1 - share[own])
    support = np.maximum(support, 0)  # rounding may leave less than nothing
    ends = pairwise(accumulate(counts, initial=0))
    return [Surroundings(clutter[i:j].tolist(), support[i:j].tolist()) for i, j in ends]


def _sum_below(values: Float[np.ndarray, " n"], ends: Int[np.ndarray, " m"]) -> np.ndarray:
    """Returns the sum of the values before each end."""
    return np.concatenate([[0.0], np.cumsum(values)])[ends]


def _sum_from(values: Float[np.ndarray, " n"], begins: Int[np.ndarray, " m"]) -> np.ndarray:
    """Returns the sum of the values from each beginning on, added up from the last one."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])[begins]
