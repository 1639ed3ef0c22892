"""Selection: soft-NMS of the candidates, then scores by what is around them.

The candidates of a cluster are visited by descending priority,

    priority = ln(p / (1 − p)) + ink_weight · ln(ink),

with p the score and ink the number of pixels that the candidate explains. So an 8 goes before the
0 in its loop, although the network is as sure of both. The log-odds of each one are then lowered by
how much its box overlaps that of one selected before (soft-NMS; Bodla et al., 2017):

    ln(s / (1 − s)) = slope · ln(p / (1 − p)) + offset
                      + (iou_slope · ln(p / (1 − p)) + iou_offset) · IoU + explained_offset · x

with x the share of its ink that those selected before explain: a part of a digit overlaps the whole
digit's box only a little, but all of its ink is explained.

Where most ink is no digit, in photographs, drawings and text, what looks like a digit seldom is
one. So the log-odds of the final score are lowered by the clutter c around the candidate,

    ln(f / (1 − f)) = ln(s / (1 − s)) + clutter_offset · c²,    c = Σ w u / Σ w

with u the share of a cluster's ink that its selected candidates leave unexplained, each weighted by
its score, and w = min(ink of the cluster ÷ ink of the candidate, 1), so that dirt hardly counts and
a large drawing counts once. The candidate's own cluster has u = 0 and w = 1.

Digits of a similar size around it, on the other hand, support a component. To the log-odds of its
final score is added

    support_offset + support_slope · min(m / full_margin, 1) · ln(1 + n)

with m its margin and n = Σ min(r / similar_ink, 1)² (1 − u) over the other clusters, r being the
smaller ink of the two ÷ the larger one; n is 0 if its IoU with what was selected before, or the
share of its ink that this explains, is over max_overlap.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.components import Box
from digits_jax.detect.steps import SelectionConfig
from digits_jax.detect.surroundings import ClusterInk, surroundings
from digits_jax.images.box_iou import box_iou

MIN_PROBABILITY = 1e-4  # bounds the logarithm of the odds


class Visit(NamedTuple):
    """What soft-NMS found when it visited a candidate."""

    candidate: int
    iou: float  # with the box of a candidate that was selected before; the largest
    explained: float  # the share of its ink that those selected before explain, 0–1
    log_odds: float  # of the score, lowered by the overlap
    selected: bool


def select(clusters: Sequence[Cluster], config: SelectionConfig) -> list[Candidate]:
    """Returns the candidates of an image that may be digits, with their final scores.

    Args:
      clusters: all of the image, those without candidates too.
      config: the constants of the formulas above.
    """
    visits = [soft_nms(cluster, config) for cluster in clusters]
    all_around = surroundings(explained_ink(clusters, visits), config.similar_ink)
    selected = []
    for cluster, own, around in zip(clusters, visits, all_around, strict=True):
        for visit, clutter, support in zip(own, *around, strict=True):
            if visit.selected:
                candidate = cluster.candidates[visit.candidate]
                log_odds = visit.log_odds + config.clutter_offset * clutter**2
                if candidate.kind == "component":
                    is_whole = max(visit.iou, visit.explained) <= config.max_overlap
                    log_odds += config.support_offset
                    sureness = min(candidate.margin / config.full_margin, 1)
                    supported = math.log1p(support) * is_whole
                    log_odds += config.support_slope * sureness * supported
                selected.append(candidate._replace(score=_sigmoid(log_odds)))
    return selected


def explained_ink(
    clusters: Sequence[Cluster], visits: Sequence[Sequence[Visit]]
) -> list[ClusterInk]:
    """Returns how much of each cluster's ink its selected candidates explain.

    Args:
      clusters: all of an image.
      visits: what soft-NMS found in each.
    """
    found = []
    for cluster, own in zip(clusters, visits, strict=True):
        inks = [_ink_px(cluster.candidates[visit.candidate]) for visit in own]
        explained = sum(
            _sigmoid(visit.log_odds) * (1 - visit.explained) * ink
            for visit, ink in zip(own, inks, strict=True)
            if visit.selected
        )
        unexplained = 1 - min(explained / max(cluster.ink_px, 1), 1)
        found.append(ClusterInk(cluster.ink_px, unexplained, inks))
    return found


def soft_nms(cluster: Cluster, config: SelectionConfig) -> list[Visit]:
    """Visits the candidates by descending priority, and selects those of a sufficient score.

    Args and constants are those of `select`.
    """
    candidates = cluster.candidates
    if not candidates:
        return []
    boxes = np.array([candidate.box for candidate in candidates])
    ink = np.array([np.count_nonzero(candidate.mask) for candidate in candidates])
    scores = np.array([candidate.score for candidate in candidates])
    odds = log_odds(scores)
    overlaps = box_iou(boxes, boxes) if len(candidates) > 1 else np.zeros((1, 1))
    visits: list[Visit] = []
    selected: list[int] = []
    for k in np.argsort(-(odds + config.ink_weight * np.log(ink)), kind="stable").tolist():
        iou = float(overlaps[k, selected].max(initial=0.0))
        explained = 1 - _new_ink(candidates[k], [candidates[j] for j in selected]) / ink[k]
        final = config.slope * odds[k] + config.offset
        final += (config.iou_slope * odds[k] + config.iou_offset) * iou
        final += config.explained_offset * explained
        is_selected = _sigmoid(final) >= config.min_score
        visits.append(Visit(k, iou, explained, float(final), is_selected))
        if visits[-1].selected:
            selected.append(k)
    return visits


def log_odds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns ln(p / (1 − p)) of scores, bounded."""
    bounded = np.clip(scores, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.log(bounded / (1 - bounded))


def _ink_px(candidate: Candidate) -> int:
    return int(np.count_nonzero(candidate.mask))


def _new_ink(candidate: Candidate, others: Sequence[Candidate]) -> int:
    """Returns how many pixels of ink a candidate explains that no other one does."""
    new = candidate.mask.copy()
    for other in others:
        remove_ink(new, candidate.box, other)
    return int(np.count_nonzero(new))


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def remove_ink(mask: Bool[np.ndarray, "h w"], box: Box, other: Candidate) -> None:
    """Removes from a mask, in place, the ink that another candidate explains."""
    x0, y0 = max(box[0], other.box[0]), max(box[1], other.box[1])
    x1, y1 = min(box[2], other.box[2]), min(box[3], other.box[3])
    if x0 < x1 and y0 < y1:
        left, top = other.box[:2]
        own = np.s_[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        mask[own] &= ~other.mask[y0 - top : y1 - top, x0 - left : x1 - left]
