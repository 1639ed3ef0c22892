"""Selection: soft-NMS of the candidates, then scores by what is around them.

The candidates of a cluster are visited by descending priority,

    priority = ln(p / (1 − p)) + ink_weight · ln(ink),

with p the score and ink the number of pixels that the candidate explains. So an 8 goes before the
0 in its loop, although the network is as sure of both. The log-odds of each one are then scaled,
and lowered where it overlaps those that were selected before (soft-NMS; Bodla et al., 2017):

    ln(s / (1 − s)) = slope · ln(p / (1 − p)) + offset
                      + (iou_slope · ln(p / (1 − p)) + iou_offset) · o
                      + same_class_offset · o′ + explained_offset · x

    o = max s_j · IoU_j,    x = mean over its ink of 1 − Π (1 − s_j)

with s_j the scores of those selected before, o′ the same as o over those of its class, and the
product over those which explain the pixel. So x is the share of its ink that is explained already:
a part of a digit overlaps the whole digit's box only a little, but all of its ink is explained. One
that is probably no digit, with a low s_j, says little about others.

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
smaller ink of the two ÷ the larger one; n is 0 if o or x is over max_overlap.
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
    overlap: float  # o: with the boxes of those selected before, 0–1
    same_class_overlap: float  # o′: with those of its class, 0–1
    explained: float  # x: the share of its ink that those selected before explain, 0–1
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
                    is_whole = max(visit.overlap, visit.explained) <= config.max_overlap
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
    labels = np.array([candidate.label for candidate in candidates])
    odds = log_odds(np.array([candidate.score for candidate in candidates]))
    ink = np.array([_ink_px(candidate) for candidate in candidates])
    ious = box_iou(boxes, boxes)
    scores = np.zeros(len(candidates))  # of those selected so far
    visits: list[Visit] = []
    for k in np.argsort(-(odds + config.ink_weight * np.log(ink)), kind="stable").tolist():
        overlaps = scores * ious[k]
        overlap = float(overlaps.max())
        same_class_overlap = float(overlaps[labels == labels[k]].max())
        others = np.flatnonzero(overlaps)
        explained = _explained_share(candidates[k], [candidates[j] for j in others], scores[others])
        final = config.slope * odds[k] + config.offset
        final += (config.iou_slope * odds[k] + config.iou_offset) * overlap
        final += config.same_class_offset * same_class_overlap
        final += config.explained_offset * explained
        score = _sigmoid(final)
        is_selected = score >= config.min_score
        visits.append(Visit(k, overlap, same_class_overlap, explained, float(final), is_selected))
        if is_selected:
            scores[k] = score
    return visits


def log_odds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns ln(p / (1 − p)) of scores, bounded."""
    bounded = np.clip(scores, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.log(bounded / (1 - bounded))


def _ink_px(candidate: Candidate) -> int:
    return int(np.count_nonzero(candidate.mask))


def _explained_share(
    candidate: Candidate, others: Sequence[Candidate], scores: Float[np.ndarray, " n"]
) -> float:
    """Returns the share of a candidate's ink that others explain, each with its score."""
    if not others:
        return 0.0
    unexplained = np.ones(candidate.mask.shape)
    for other, score in zip(others, scores.tolist(), strict=True):
        own, its = _intersection(candidate.box, other.box)
        unexplained[own] *= 1 - score * other.mask[its]
    return 1 - float(unexplained[candidate.mask].mean())


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def remove_ink(mask: Bool[np.ndarray, "h w"], box: Box, other: Candidate) -> None:
    """Removes from a mask, in place, the ink that another candidate explains."""
    own, its = _intersection(box, other.box)
    mask[own] &= ~other.mask[its]


def _intersection(box: Box, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Returns where two boxes intersect: rows and columns of the one, and of the other."""
    x0, y0 = max(box[0], other[0]), max(box[1], other[1])
    x1, y1 = max(min(box[2], other[2]), x0), max(min(box[3], other[3]), y0)
    own = slice(y0 - box[1], y1 - box[1]), slice(x0 - box[0], x1 - box[0])
    its = slice(y0 - other[1], y1 - other[1]), slice(x0 - other[0], x1 - other[0])
    return own, its
