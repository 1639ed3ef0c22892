"""Calibration: detection scores from margins, lower for what is often seen where no digit is."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from digits_jax.detect.steps import CalibrationConfig, OddsConfig

MIN_MARGIN = 1e-6  # bounds the log-odds
FULL_CONTACT = 0.2  # border contact, a share of a side, beyond which more says no more


def calibrate(
    labels: Int[Array, "n k"],
    margins: Float[Array, "n k"],
    border_contacts: Float[Array, "n k"],
    config: CalibrationConfig,
) -> Float[Array, "n k"]:
    """Returns calibrated scores: margins whose odds are divided where false alarms are frequent.

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


def odds_scores(
    labels: Int[np.ndarray, " n"],
    margins: Float[np.ndarray, " n"],
    border_contacts: Float[np.ndarray, " n"],
    config: OddsConfig,
) -> Float[np.ndarray, " n"]:
    """Returns the calibrated scores of components, or of windows inside them.

    The log-odds of the score s are linear in those of the margin m,

        ln(s / (1 − s)) = slope · ln(m / (1 − m)) + offset + one_offset · [label = 1]
                          + contact_offset · min(contact / 0.2, 1)

    Args:
      labels: `[n]` 0–9.
      margins: `[n]` 0–1.
      border_contacts: `[n]` as `border_contact` returns them, shares of a side.
      config: the coefficients.

    Returns:
      `[n]` scores, 0–1.
    """
    odds = odds_features(labels, margins, border_contacts) @ dataclasses.astuple(config)
    return 1 / (1 + np.exp(-odds))


def odds_features(
    labels: Int[np.ndarray, " n"],
    margins: Float[np.ndarray, " n"],
    border_contacts: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n 4"]:
    """Returns what the coefficients of `OddsConfig` multiply, in their order.

    Args: as for `odds_scores`.
    """
    bounded = np.clip(np.asarray(margins, np.float64), MIN_MARGIN, 1 - MIN_MARGIN)
    return np.stack(
        [
            np.log(bounded / (1 - bounded)),
            np.ones(len(bounded)),
            np.asarray(labels) == 1,
            np.minimum(border_contacts / FULL_CONTACT, 1.0),
        ],
        axis=-1,
    )
