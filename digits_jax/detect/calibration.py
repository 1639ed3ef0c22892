"""Scores of the search from margins, lower for what is often seen where no digit is.

What `Detector` returns in their place is the share of detections of such a score that are right.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import CalibrationConfig, OddsConfig

MIN_CONTEXT = 0.01  # bounds the logarithm of the probability
MIN_MARGIN = 1e-6  # bounds the log-odds
FULL_CONTACT = 0.2  # border contact, a share of a side, beyond which more says no more


def calibrate(
    labels: Int[Array, "n k"],
    margins: Float[Array, "n k"],
    border_contacts: Float[Array, "n k"],
    config: CalibrationConfig,
) -> Float[Array, "n k"]:
    """Returns margins whose odds are divided where false alarms are frequent.

    A margin m has the odds m / (1 − m). Divided by d they give the score m / (m + (1 − m) d), where

        d = (1 + contact_penalty · min(contact / full_contact, 1)) · (one_odds_divisor if label = 1)

    Args:
      labels: `[n, k]` 0–9.
      margins: `[n, k]` 0–1.
      border_contacts: `[n, k]` as `border_contact` returns them, shares of a side.
      config: the constants of the formula.

    Returns:
      `[n, k]` scores, 0–1.
    """
    contact = jnp.minimum(border_contacts / config.full_contact, 1.0)
    divisor = 1 + config.contact_penalty * contact
    divisor *= jnp.where(labels == 1, config.one_odds_divisor, 1.0)
    return margins / (margins + (1 - margins) * divisor)


def score_candidates(
    candidates: Sequence[Candidate], odds: Mapping[str, OddsConfig]
) -> list[Candidate]:
    """Returns candidates with their scores.

    The log-odds of the score s are linear in those of the margin m and in the other evidence,

        ln(s / (1 − s)) = slope · ln(m / (1 − m)) + offset + one_offset · [label = 1]
                          + contact_offset · min(contact / 0.2, 1) + votes_slope · ln(votes)
                          + faint_offset · (1 − strength) + context_slope · ln(context[label])
                          + edge_offset · [at the image's edge]

    Args:
      candidates: the candidates, whose scores are replaced.
      odds: the coefficients for each kind of candidate.
    """
    if not candidates:
        return []
    features = odds_features(candidates)
    of_kind = {kind: dataclasses.astuple(odds[kind]) for kind in {c.kind for c in candidates}}
    coefficients = np.array([of_kind[c.kind] for c in candidates])
    scores = 1 / (1 + np.exp(-(features * coefficients).sum(axis=1)))
    return [c._replace(score=float(s)) for c, s in zip(candidates, scores, strict=True)]


def single_digit_scores(
    labels: Int[np.ndarray, " n"], margins: Float[np.ndarray, " n"], config: OddsConfig
) -> Float[np.ndarray, " n"]:
    """Returns the scores of pictures of one digit each.

    They are those of components of strong ink, with nothing around them, away from the edge.

    Args:
      labels: `[n]` 0–9.
      margins: `[n]` 0–1.
      config: the coefficients for components.

    Returns:
      `[n]` scores, 0–1.
    """
    odds = config.slope * margin_log_odds(margins) + config.offset
    return np.asarray(1 / (1 + np.exp(-(odds + config.one_offset * (np.asarray(labels) == 1)))))


def calibrate_scores(
    search_scores: Float[np.ndarray, "*k"], reliability: Sequence[tuple[float, float]]
) -> Float[np.ndarray, "*k"]:
    """Returns the share of detections that are right where the search gives these scores.

    The share is piecewise linear in the score (isotonic regression; Zadrozny and Elkan, 2002).

    Args:
      search_scores: scores of the search, 0–1.
      reliability: points of the function, as in `DetectorConfig`.

    Returns:
      Calibrated scores, 0–1, in the shape and dtype of the search's.
    """
    scores, shares = np.array(reliability).T
    return np.interp(search_scores, scores, shares).astype(search_scores.dtype)


def to_search_score(score: float, reliability: Sequence[tuple[float, float]]) -> float:
    """Returns the score of the search that `calibrate_scores` maps to a calibrated one, 0–1."""
    scores, shares = np.array(reliability).T
    return float(np.interp(score, shares, scores))


def odds_features(candidates: Sequence[Candidate]) -> Float[np.ndarray, "n 8"]:
    """Returns what the coefficients of `OddsConfig` multiply, in their order."""
    odds = margin_log_odds(np.array([candidate.margin for candidate in candidates]))
    evidence = np.array(
        [
            (
                1.0,
                c.label == 1,
                min(c.contact / FULL_CONTACT, 1.0),
                np.log(c.votes),
                1 - c.strength,
                np.log(max(c.context[c.label], MIN_CONTEXT)),
                c.at_edge,
            )
            for c in candidates
        ]
    )
    return np.concatenate([odds[:, None], evidence], axis=1)


def margin_log_odds(margins: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns ln(m / (1 − m)) of margins, bounded."""
    bounded = np.clip(np.asarray(margins, np.float64), MIN_MARGIN, 1 - MIN_MARGIN)
    return np.asarray(np.log(bounded / (1 - bounded)))
