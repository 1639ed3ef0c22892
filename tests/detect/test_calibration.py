"""Calibration: scores from margins."""

import jax.numpy as jnp
import numpy as np

from digits_jax.detect.calibration import calibrate
from digits_jax.detect.steps import CalibrationConfig


def test_odds_are_divided_by_border_contact_and_for_a_1() -> None:
    """A margin of 0.8 has odds of 4: divided by 1, 2 at half contact, 3; and by 5 for a 1."""
    contacts = jnp.array([[0.0, 0.1, 0.2, 1.0, 0.0, 0.2]], jnp.float32)
    labels = jnp.array([[0, 2, 7, 9, 1, 1]])
    margins = jnp.full((1, 6), 0.8, jnp.float32)
    scores = calibrate(labels, margins, contacts, CalibrationConfig())
    np.testing.assert_allclose(scores, [[4 / 5, 2 / 3, 4 / 7, 4 / 7, 4 / 9, 4 / 19]], rtol=1e-6)


def test_margins_of_0_and_1_stay() -> None:
    margins = jnp.array([[0.0, 1.0]], jnp.float32)
    contacts, labels = jnp.ones((1, 2), jnp.float32), jnp.ones((1, 2), int)
    scores = calibrate(labels, margins, contacts, CalibrationConfig())
    np.testing.assert_array_equal(scores, margins)
