"""The learning-rate schedules."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from digits_jax.train.config import TrainConfig
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.schedule import freezing_steps, learning_rate_schedule, make_optimizer


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


def updates_of_ones(config: TrainConfig, steps: int) -> list[dict[str, float]]:
    """Returns the update of each layer at each step, for gradients of 1."""
    params = {layer: {"bias": jnp.zeros(3)} for layer in ("conv1", "conv2", "dense1", "dense2")}
    grads = {layer: {"bias": jnp.ones(3)} for layer in params}
    optimizer = make_optimizer(config)
    state, rows = optimizer.init(params), []
    for _ in range(steps):
        updates, state = optimizer.update(grads, state, params)
        rows.append({layer: float(updates[layer]["bias"][0]) for layer in params})
    return rows


@pytest.mark.usefixtures("optax_promotion")
def test_a_layer_that_is_frozen_early_follows_a_schedule_that_ends_there() -> None:
    whole = dataclasses.replace(
        CONFIGS["paper"], optimizer="sgd", schedule="one-cycle", learning_rate=0.5, steps=20
    )
    config = dataclasses.replace(whole, freeze_conv1_at=0.4, freeze_conv2_at=0.75)
    assert freezing_steps(config) == {"conv1": 8, "conv2": 15}
    assert freezing_steps(whole) == {}
    rows = updates_of_ones(config, 20)
    for layer, end in {"conv1": 8, "conv2": 15, "dense1": 20, "dense2": 20}.items():
        schedule = learning_rate_schedule(dataclasses.replace(whole, steps=end))
        expected = [-float(schedule(step)) for step in range(end)] + [0.0] * (20 - end)
        np.testing.assert_allclose([row[layer] for row in rows], expected, rtol=1e-5, atol=1e-9)
        assert [row[layer] for row in rows[end:]] == [0.0] * (20 - end)


@pytest.mark.usefixtures("optax_promotion")
def test_a_constant_rate_stays_constant_until_a_layer_is_frozen() -> None:
    config = dataclasses.replace(
        CONFIGS["paper"], optimizer="sgd", learning_rate=0.5, steps=10, freeze_conv1_at=0.3
    )
    rows = updates_of_ones(config, 10)
    assert [row["conv1"] for row in rows] == [-0.5] * 3 + [0.0] * 7
    assert [row["conv2"] for row in rows] == [-0.5] * 10
