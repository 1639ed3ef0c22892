"""One training step as pure functions: loss, gradient, update."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from digits_jax.models.cnn import NUM_CLASSES, Params, classify, init
from digits_jax.train.augment import augment
from digits_jax.train.batch import Batch
from digits_jax.train.config import TrainConfig
from digits_jax.train.negatives.draw import NegativePictures
from digits_jax.train.schedule import make_optimizer

CONVOLUTIONS = ("conv1", "conv2")  # layers 1 and 4


class TrainState(NamedTuple):
    """Everything that a run carries from one step to the next."""

    step: Int[Array, ""]  # number of updates done
    params: Params
    opt_state: Any


class Metrics(NamedTuple):
    """Metrics of the steps of one dispatch; divide the sums by the number of steps."""

    loss: Float[Array, ""]  # sum of the steps' losses
    accuracy: Float[Array, ""]  # sum of the steps' accuracies, each 0–1
    bad_step: Int[Array, ""]  # the first step whose loss was not finite, or −1


def initial_state(
    config: TrainConfig, key: Key[Array, ""], params: Params | None = None
) -> TrainState:
    """Returns the state at step 0, of fresh parameters or of the ones given."""
    params = init(key) if params is None else params
    return TrainState(jnp.zeros((), jnp.int32), params, make_optimizer(config).init(params))


def train_step(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    config: TrainConfig,
    mesh: Mesh,
    negatives: NegativePictures | None = None,
) -> tuple[TrainState, Metrics]:
    """Augments a batch of digits and updates the parameters.

    Bind `config` and `mesh` with `functools.partial` to get the plain
    `train_step(state, batch, key) -> (state, metrics)`.

    Args:
      state: the parameters and the optimizer's state.
      batch: digits, as `sample_batch` returns them.
      key: the source of the augmentation's randomness.
      config: what a step does.
      mesh: the devices that share the batch; see `data_mesh`.
      negatives: the pictures of `draw_negatives()`; only needed if `config.composes`. Under `jit`,
        pass them as an argument, since as constants they would make the program large.

    Returns:
      The state after the update, and the metrics of this step.

    Raises:
      ArgumentError: the configuration composes windows, and negatives are missing, or those that
        are framed.
    """
    batch = augment(key, batch, config, negatives)
    return apply_gradients(state, batch, config=config, mesh=mesh)


def apply_gradients(
    state: TrainState, batch: Batch, *, config: TrainConfig, mesh: Mesh
) -> tuple[TrainState, Metrics]:
    """Updates the parameters by the gradient of the loss of an augmented batch.

    Args:
      state: the parameters and the optimizer's state.
      batch: an augmented batch.
      config: the optimizer, its learning rate and the compute dtype.
      mesh: the devices that share the batch; see `data_mesh`.

    Returns:
      The state after the update, and the metrics of this step.
    """
    options = (config.compute_dtype, config.label_smoothing, config.convolution_share)
    (loss, accuracy), grads = jax.value_and_grad(loss_and_accuracy, has_aux=True)(
        state.params, batch, mesh, *options
    )
    updates, opt_state = make_optimizer(config).update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    bad_step = jnp.where(jnp.isfinite(loss), -1, state.step)
    return TrainState(state.step + 1, params, opt_state), Metrics(loss, accuracy, bad_step)


def loss_and_accuracy(
    params: Params,
    batch: Batch,
    mesh: Mesh,
    compute_dtype: DTypeLike = jnp.float32,
    label_smoothing: float = 0.0,
    convolution_share: float = 1.0,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the mean cross-entropy and the share of digits classified correctly.

    The cross-entropy of a window is −Σ_j t_j log f_θ^j(x) (section 2.1), with the target
    t_j = c·I(y = j) + (1 − c)/10, where c is its target confidence and y its label. For a digit
    (c = 1) that is the paper's loss. For a negative (c = 0) it is least at uniform probabilities.
    For a jittered crop it is least where the margin is c. Label smoothing ε multiplies c by 1 − ε
    (Szegedy et al., 2016). The accuracy counts digits only.

    Each device of the mesh takes its part of the batch. Differentiate from outside: the gradient is
    then that of the mean over the whole batch, whatever the number of devices. If
    `convolution_share` is below 1, the gradient of the convolutions has the terms of some windows
    alone, still divided by the size of the batch. So it is smaller, which adam and muon make up
    for, and sgd does not.

    Args:
      params: the network's parameters.
      batch: an augmented batch.
      mesh: the devices that share the batch.
      compute_dtype: the type to which the large layers round the inputs of their matrix products.
      label_smoothing: ε, 0–1.
      convolution_share: the share of each device's windows, 0–1 and rounded up, whose loss gives a
        gradient to the convolutions. It changes no value, only the gradient.

    Returns:
      The loss in nats, and the accuracy, 0–1; an accuracy of 0 if the batch holds no digit.
    """

    # Unchecked, the transpose sums the devices' gradients of the replicated parameters.
    @partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False)
    def mean_over_devices(params: Params, batch: Batch) -> tuple[Array, Array]:
        logits = _classify_batch(params, batch.images, convolution_share, compute_dtype)
        labels = batch.labels.astype(jnp.int32)
        confidence = (1 - label_smoothing) * batch.target_confidence[:, None]
        targets = confidence * jax.nn.one_hot(labels, NUM_CLASSES) + (1 - confidence) / NUM_CLASSES
        loss = optax.softmax_cross_entropy(logits, targets).mean()
        is_digit = batch.target_confidence == 1
        is_correct = is_digit & (jnp.argmax(logits, axis=-1) == labels)
        counts = (is_correct.astype(jnp.float32).sum(), is_digit.astype(jnp.float32).sum())
        correct, digits = lax.psum(counts, "data")
        return lax.pmean(loss, "data"), correct / jnp.maximum(digits, 1.0)

    return mean_over_devices(params, batch)


def _classify_batch(
    params: Params, images: Float[Array, "n 28 28 1"], share: float, compute_dtype: DTypeLike
) -> Float[Array, "n 10"]:
    """Computes the logits; the convolutions get a gradient from the first windows alone.

    Their gradients are two thirds of a step's work. They have few parameters, so that fewer windows
    estimate their gradient well enough. Windows are in random order: the first are a random sample.
    """
    count = math.ceil(share * len(images))
    constant = {
        layer: lax.stop_gradient(values) if layer in CONVOLUTIONS else values
        for layer, values in params.items()
    }
    parts = [(params, images[:count]), (constant, images[count:])]
    logits = [classify(*part, compute_dtype=compute_dtype) for part in parts if len(part[1])]
    return jnp.concatenate(logits)
