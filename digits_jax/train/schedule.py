"""The learning-rate schedule and the optimizer of a training configuration."""

import jax
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
    With weight decay λ, kernels also lose α·λ·θ (Loshchilov and Hutter, 2019); biases do not.
    """
    rate = learning_rate_schedule(config)
    if config.weight_decay:
        return optax.adamw(rate, weight_decay=config.weight_decay, mask=_is_kernel)
    return {"adam": optax.adam, "sgd": optax.sgd}[config.optimizer](rate)


def _is_kernel(params: optax.Params) -> optax.Params:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
