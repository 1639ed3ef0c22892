"""The learning-rate schedule and the optimizer of a training configuration."""

import optax

from digits_jax.train.config import TrainConfig


def learning_rate_schedule(config: TrainConfig) -> optax.Schedule:
    """Returns the learning rate as a function of the step, counted from 0.

    The one-cycle schedule rises from 1/25 of `config.learning_rate` to it over the first 30 % of
    the steps, and falls along a cosine to 1/10,000 of the first value (Smith and Topin, 2019).
    """
    if config.schedule == "constant":
        return optax.constant_schedule(config.learning_rate)
    return optax.cosine_onecycle_schedule(config.steps, config.learning_rate)


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Returns the optimizer with its learning-rate schedule.

    For sgd that is θ := θ − α·∇L; adam rescales the gradient by its moments (Kingma and Ba, 2015).
    """
    make = {"adam": optax.adam, "sgd": optax.sgd}[config.optimizer]
    return make(learning_rate_schedule(config))
