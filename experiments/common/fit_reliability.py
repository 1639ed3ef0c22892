"""Which share of detections is right, by the score of the search: isotonic regression."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import isotonic_regression

from digits_jax.detect import Detector
from digits_jax.detect.calibration import calibrate_scores, to_search_score
from digits_jax.detect.config import UNCALIBRATED, DetectorConfig
from digits_jax.eval.detection_metrics import AP_MIN_SCORE
from digits_jax.models.cnn import Params
from experiments.common.scene_scores import scene_scores

SEED = 5  # of the scenes
EDGES = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98,
         0.995, 1.0)  # fmt: skip
MIN_STEP = 1e-3  # by which the share rises from point to point, so that it has an inverse
MIN_SCORE = 1e-4  # from 0 and from 1, where the first and the last point are
MAX_SHIFT = 5e-3  # of a threshold of the search, for the sake of one with two digits

Points = tuple[tuple[float, float], ...]


def without_reliability(config: DetectorConfig) -> DetectorConfig:
    """Returns a config whose scores and thresholds are those of the search."""
    least, photo = (
        to_search_score(score, config.reliability)
        for score in (config.min_score, config.photo_min_score)
    )
    return dataclasses.replace(
        config, reliability=UNCALIBRATED, min_score=round(least, 4), photo_min_score=round(photo, 4)
    )


def fit_reliability(params: Params, config: DetectorConfig, count: int) -> DetectorConfig:
    """Fits the reliability on validation scenes, and moves the thresholds along.

    The detections stay the same, but for the rounding of the thresholds.

    Args:
      params: the network's parameters.
      config: the constants of detection, with scores and thresholds of the search.
      count: number of scenes of each dataset.
    """
    detector = Detector(params, dataclasses.replace(config, min_score=AP_MIN_SCORE))
    parts = scene_scores(detector, "validation", count, SEED).values()
    scores, rights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    points = fit_points(scores, rights)
    least, photo = (
        calibrate_threshold(score, points) for score in (config.min_score, config.photo_min_score)
    )
    return dataclasses.replace(config, reliability=points, min_score=least, photo_min_score=photo)


def calibrate_threshold(search_score: float, points: Points) -> float:
    """Returns what a threshold of the search is among calibrated scores, if possible short."""
    score = float(calibrate_scores(np.array([search_score]), points)[0])
    short = round(score, 2)
    shift = abs(to_search_score(short, points) - search_score)
    return short if shift <= MAX_SHIFT else round(score, 4)


def fit_points(scores: Float[np.ndarray, " n"], rights: Bool[np.ndarray, " n"]) -> Points:
    """Returns points of a rising function from scores to the share that is right.

    Each part of 0–1 between two of `EDGES` gives a point, its mean score and share, of which those
    that do not rise are pooled (isotonic regression; Zadrozny and Elkan, 2002).
    """
    part = np.searchsorted(EDGES, scores, side="right").clip(1, len(EDGES) - 1)
    used, inverse, counts = np.unique(part, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, scores) / counts
    shares = np.bincount(inverse, rights) / counts
    rising = isotonic_regression(shares, weights=counts).x
    points = [(0.0, 0.0)]
    for score, share in zip(means.tolist(), rising.tolist(), strict=True):
        left = 1 - MIN_STEP * (len(used) - len(points) + 1)  # room for the points that follow
        above = max(share, points[-1][1] + MIN_STEP)
        inside = min(max(score, MIN_SCORE), 1 - MIN_SCORE)
        points.append((round(inside, 4), round(min(above, left), 4)))
    return (*points, (1.0, 1.0))
