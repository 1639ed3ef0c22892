"""Selection: the candidates that explain the ink best.

A stroke belongs to one digit. The candidates are visited by descending priority,

    priority = ln(p / (1 − p)) + ink_weight · ln(ink),

with p the score and ink the number of pixels that the candidate explains. So the 8 goes before the
0 in its loop, although the network is as sure of both, and each of two touching digits goes before
a doubtful reading of both as one. A candidate is selected if enough of its ink is not explained by
those before it. This is non-maximum suppression with ink in place of boxes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from digits_jax.detect.components import Box
from digits_jax.detect.steps import SelectionConfig

MIN_PROBABILITY = 1e-4  # bounds the logarithm of the odds


class Candidate(NamedTuple):
    """Ink that may be a digit."""

    box: Box  # px of the image
    mask: Bool[np.ndarray, "h w"]  # the ink that it explains, inside the box
    size: float  # px: the side of the square that it fills as MNIST's digits fill 28×28 px
    probabilities: Float32[np.ndarray, "10"]
    contact: float  # how much of the window's border strokes touch; 0 for a component
    is_window: bool  # whether it is a part of a component
    score: float  # 0–1, calibrated

    @property
    def label(self) -> int:
        """The most probable class, 0–9."""
        return int(self.probabilities.argmax())


class Cluster(NamedTuple):
    """Components that are near to each other, and the candidates that compete for their ink."""

    ink_px: int  # how many pixels of ink the components have
    candidates: list[Candidate]


def select(cluster: Cluster, config: SelectionConfig) -> list[Candidate]:
    """Returns the candidates that are digits, by descending priority.

    Touching digits leave little ink unexplained. A letter, a drawing or a part of a photograph may
    contain strokes that look like a digit, but most of its ink remains. So the log-odds of windows
    are lowered by unexplained_offset · (1 − e), with e the share of the cluster's ink that the
    selected candidates explain, each weighted by its score.

    Args:
      cluster: the candidates, each with at least one pixel of ink.
      config: the constants of the rules.
    """
    candidates = cluster.candidates
    ink = np.array([np.count_nonzero(candidate.mask) for candidate in candidates])
    scores = np.array([candidate.score for candidate in candidates])
    priority = _log_odds(scores) + config.ink_weight * np.log(np.maximum(ink, 1))
    selected: list[int] = []
    explained = 0.0
    for k in np.argsort(-priority, kind="stable").tolist():
        if scores[k] < config.min_score or not ink[k]:
            continue
        new = candidates[k].mask.copy()
        for other in selected:
            sizes = candidates[k].size, candidates[other].size
            if max(sizes) < config.max_size_ratio * min(sizes):
                _remove(new, candidates[k].box, candidates[other])
        new_ink = np.count_nonzero(new)
        if new_ink >= config.min_new_ink * ink[k]:
            selected.append(k)
            explained += scores[k] * new_ink
    lowered = config.unexplained_offset * max(1 - explained / cluster.ink_px, 0)
    final = 1 / (1 + np.exp(lowered - _log_odds(scores)))
    return [
        candidates[k]._replace(score=float(final[k])) if candidates[k].is_window else candidates[k]
        for k in selected
    ]


def _log_odds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    bounded = np.clip(scores, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.log(bounded / (1 - bounded))


def _remove(mask: Bool[np.ndarray, "h w"], box: Box, other: Candidate) -> None:
    """Removes from a mask, in place, the ink that another candidate explains."""
    x0, y0 = max(box[0], other.box[0]), max(box[1], other.box[1])
    x1, y1 = min(box[2], other.box[2]), min(box[3], other.box[3])
    if x0 < x1 and y0 < y1:
        left, top = other.box[:2]
        own = np.s_[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        mask[own] &= ~other.mask[y0 - top : y1 - top, x0 - left : x1 - left]
