"""The learning-rate schedule and the optimizer of a training configuration."""

from typing import Any

import jax
import optax
from jaxtyping import Array, Float

from digits_jax.train.config import TrainConfig
from digits_jax.train.muon import scale_by_fast_muon

# Muon's learning rate ÷ that of Adam: its updates are then about as large.
MUON_RATE = 5.0
MUON_LAYERS = ("conv2", "dense1")


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
    make = {"adam": optax.adam, "sgd": optax.sgd, "muon": _muon}[config.optimizer]
    return make(learning_rate_schedule(config))


def _muon(learning_rate: optax.Schedule) -> optax.GradientTransformation:
    """Returns Muon for the kernels of layers 4 and 6, and Adam for the rest.

    Layer 6 is taken as the 7×7 convolution that it equals: 49 matrices of 64 × 1024, each by
    itself. As one matrix of 3136 × 1024 it takes much longer, and trains no better. Layer 1 is left
    to Adam: Muon gives its filters of fine detail as much weight as the others, and digits in other
    hands are read worse.
    """

    def label(path: tuple[Any, ...], _: Array) -> str:
        layer, name = (key.key for key in path)
        return "muon" if layer in MUON_LAYERS and name == "kernel" else "adam"

    orthogonal = optax.chain(
        scale_by_fast_muon(),
        optax.scale_by_learning_rate(lambda step: MUON_RATE * learning_rate(step)),
    )
    inner = optax.partition(
        {"muon": orthogonal, "adam": optax.adam(learning_rate)},
        lambda params: jax.tree.map_with_path(label, params),
    )

    def update(grads: Any, state: Any, params: Any = None) -> tuple[dict[str, Any], Any]:
        del params  # neither of the two needs them
        updates, state = inner.update(_with_dense1(grads, (49, 64, 1024)), state)
        return _with_dense1(updates, (3136, 1024)), state

    return optax.GradientTransformation(
        lambda params: inner.init(_with_dense1(params, (49, 64, 1024))), update
    )


def _with_dense1(params: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Returns parameters, of which some may be masked, with another shape of layer 6's kernel."""
    kernel: Float[Array, "..."] = params["dense1"]["kernel"]
    return {**params, "dense1": {**params["dense1"], "kernel": kernel.reshape(shape)}}
