"""The learning-rate schedules."""

import dataclasses

import numpy as np
import pytest

from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.schedule import learning_rate_schedule


@pytest.mark.usefixtures("optax_promotion")
def test_the_one_cycle_schedule_rises_to_the_learning_rate_and_falls_to_zero() -> None:
    config = CONFIGS["standard"]
    schedule = learning_rate_schedule(config)
    rates = [float(schedule(step)) for step in range(0, config.steps + 1, 40)]
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(config.learning_rate)
    assert peak * 40 == pytest.approx(0.3 * config.steps)
    assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
    assert rates[0] == pytest.approx(config.learning_rate / 25)
    assert rates[-1] < 1e-3 * config.learning_rate


def test_the_constant_schedule_is_the_learning_rate_at_every_step() -> None:
    config = dataclasses.replace(CONFIGS["paper"], learning_rate=0.25)
    schedule = learning_rate_schedule(config)
    assert [float(schedule(step)) for step in (0, 1, config.steps)] == [0.25] * 3
