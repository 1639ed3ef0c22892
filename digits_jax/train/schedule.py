"""The learning-rate schedule and the optimizer of a training configuration."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from digits_jax.train.config import TrainConfig
from digits_jax.train.muon import scale_by_fast_muon

# Muon's learning rate ÷ that of Adam: its updates are then about as large.
MUON_RATE = 5.0
MUON_LAYERS = ("conv2", "dense1")
DENSE_LAYERS = ("dense1", "dense2")


def learning_rate_schedule(config: TrainConfig) -> optax.Schedule:
    """Returns the learning rate as a function of the step, counted from 0.

    The one-cycle schedule rises from 1/25 of `config.learning_rate` to it over the first 30 % of
    the steps, and falls along a cosine to 1/10,000 of the first value (Smith and Topin, 2019).
    """
    if config.schedule == "constant":
        return optax.constant_schedule(config.learning_rate)
    return optax.cosine_onecycle_schedule(config.steps, config.learning_rate)


def freezing_steps(config: TrainConfig) -> dict[str, int]:
    """Returns the step from which each layer is frozen, of the layers that are before the end."""
    shares = {"conv1": config.freeze_conv1_at, "conv2": config.freeze_conv2_at}
    return {layer: round(share * config.steps) for layer, share in shares.items() if share < 1}


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Returns the optimizer with its learning-rate schedule.

    For sgd that is θ := θ − α·∇L; adam rescales the gradient by its moments (Kingma and Ba, 2015).
    Layers that are not trained get no updates, and no state of the optimizer. A layer that is
    frozen early follows a schedule of its own length until then.
    """
    make = {"adam": optax.adam, "sgd": optax.sgd, "muon": _muon}[config.optimizer]
    optimizer = make(learning_rate_schedule(config))
    if freezing_steps(config):
        optimizer = optax.chain(optimizer, _shorten_schedules(config))
    if config.trained_layers == "all":
        return optimizer
    return optax.partition(
        {"trained": optimizer, "fixed": optax.set_to_zero()},
        lambda params: {layer: "trained" if layer in DENSE_LAYERS else "fixed" for layer in params},
    )


def _shorten_schedules(config: TrainConfig) -> optax.GradientTransformation:
    """Gives layers that are frozen early schedules that end there (Brock et al., 2017).

    A layer's update is multiplied by the learning rate of the shorter schedule ÷ that of the whole
    run, and by 0 from the step on at which the layer is frozen.
    """
    whole = learning_rate_schedule(config)
    ends = freezing_steps(config)
    shorter = {
        layer: learning_rate_schedule(dataclasses.replace(config, steps=max(end, 1)))
        for layer, end in ends.items()
    }

    def update(
        updates: Any, state: optax.ScaleByScheduleState, params: Any = None
    ) -> tuple[Any, optax.ScaleByScheduleState]:
        del params

        def scale(layer: str, updates: Any) -> Any:
            if layer not in ends:
                return updates
            rate = shorter[layer](state.count) / whole(state.count)
            factor = jnp.where(state.count < ends[layer], rate, 0.0)
            return jax.tree.map(lambda array: factor * array, updates)

        scaled = {layer: scale(layer, arrays) for layer, arrays in updates.items()}
        return scaled, optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformation(
        lambda _: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update
    )


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
