"""Calibration: detection scores from margins, lower for what is often seen where no digit is."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from digits_jax.detect.config import CalibrationConfig


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
