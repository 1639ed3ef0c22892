"""Selection: soft-NMS of the candidates, and what the ink that they leave unexplained says.

The candidates of a cluster are visited by descending priority,

    priority = ln(p / (1 − p)) + ink_weight · ln(ink),

with p the score and ink the number of pixels that the candidate explains. So an 8 goes before the
0 in its loop, although the network is as sure of both. The log-odds of each one are then lowered by
how much its box overlaps that of one selected before (soft-NMS; Bodla et al., 2017):

    ln(s / (1 − s)) = slope · ln(p / (1 − p)) + offset + iou_offset · IoU + explained_offset · x

with x the share of its ink that those selected before explain: a part of a digit overlaps the whole
digit's box only a little, but all of its ink is explained.

Touching digits leave little ink unexplained. A letter, a drawing or a part of a photograph may
contain strokes that look like a digit, but most of its ink remains. So the log-odds of windows are
also lowered by unexplained_offset · (1 − e), with e the share of the cluster's ink that the
selected candidates explain, each weighted by its score.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.components import Box
from digits_jax.detect.steps import SelectionConfig
from digits_jax.images.box_iou import box_iou

MIN_PROBABILITY = 1e-4  # bounds the logarithm of the odds


class Visit(NamedTuple):
    """What soft-NMS found when it visited a candidate."""

    candidate: int
    iou: float  # with the box of a candidate that was selected before; the largest
    explained: float  # the share of its ink that those selected before explain, 0–1
    log_odds: float  # of the score, lowered by the overlap
    selected: bool


def select(cluster: Cluster, config: SelectionConfig) -> list[Candidate]:
    """Returns the candidates that may be digits, by descending priority, with their final scores.

    Args:
      cluster: the candidates, each with at least one pixel of ink.
      config: the constants of the formulas above.
    """
    visits = [visit for visit in soft_nms(cluster, config) if visit.selected]
    chosen = [cluster.candidates[visit.candidate] for visit in visits]
    explained = sum(
        _sigmoid(visit.log_odds) * (1 - visit.explained) * np.count_nonzero(candidate.mask)
        for candidate, visit in zip(chosen, visits, strict=True)
    )
    lowered = config.unexplained_offset * max(1 - explained / cluster.ink_px, 0.0)
    return [
        candidate._replace(score=_sigmoid(visit.log_odds + candidate.is_window * lowered))
        for candidate, visit in zip(chosen, visits, strict=True)
    ]


def soft_nms(cluster: Cluster, config: SelectionConfig) -> list[Visit]:
    """Visits the candidates by descending priority, and selects those of a sufficient score.

    Args and constants are those of `select`.
    """
    candidates = cluster.candidates
    boxes = np.array([candidate.box for candidate in candidates])
    ink = np.array([np.count_nonzero(candidate.mask) for candidate in candidates])
    scores = np.array([candidate.score for candidate in candidates])
    odds = log_odds(scores)
    overlaps = box_iou(boxes, boxes)
    visits: list[Visit] = []
    selected: list[int] = []
    for k in np.argsort(-(odds + config.ink_weight * np.log(ink)), kind="stable").tolist():
        iou = float(overlaps[k, selected].max(initial=0.0))
        explained = 1 - _new_ink(candidates[k], [candidates[j] for j in selected]) / ink[k]
        final = config.slope * odds[k] + config.offset
        final += config.iou_offset * iou + config.explained_offset * explained
        is_selected = _sigmoid(final) >= config.min_score
        visits.append(Visit(k, iou, explained, float(final), is_selected))
        if visits[-1].selected:
            selected.append(k)
    return visits


def log_odds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns ln(p / (1 − p)) of scores, bounded."""
    bounded = np.clip(scores, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.log(bounded / (1 - bounded))


def _new_ink(candidate: Candidate, others: Sequence[Candidate]) -> int:
    """Returns how many pixels of ink a candidate explains that no other one does."""
    new = candidate.mask.copy()
    for other in others:
        _remove(new, candidate.box, other)
    return int(np.count_nonzero(new))


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _remove(mask: Bool[np.ndarray, "h w"], box: Box, other: Candidate) -> None:
    """Removes from a mask, in place, the ink that another candidate explains."""
    x0, y0 = max(box[0], other.box[0]), max(box[1], other.box[1])
    x1, y1 = min(box[2], other.box[2]), min(box[3], other.box[3])
    if x0 < x1 and y0 < y1:
        left, top = other.box[:2]
        own = np.s_[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        mask[own] &= ~other.mask[y0 - top : y1 - top, x0 - left : x1 - left]
