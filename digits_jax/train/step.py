"""One training step as pure functions."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, UInt8

from digits_jax.data.mnist import Dataset
from digits_jax.models.cnn import NUM_CLASSES, Params, classify, init
from digits_jax.runtime.errors import ArgumentError
from digits_jax.train.augment import NegativePictures, compose_windows
from digits_jax.train.config import TrainConfig


class TrainState(NamedTuple):
    """All that a run carries from one step to the next."""

    step: Int[Array, ""]  # updates done
    params: Params
    opt_state: Any


class Batch(NamedTuple):
    """Windows to learn from: pixels in 0–1, ink bright, and the classes of their digits."""

    images: Float[Array, "n 28 28 1"]
    labels: UInt8[Array, " n"]
    centred: Float[Array, " n"]  # how far the digit is in its place; 0: background


class Metrics(NamedTuple):
    """Sums over the steps of one dispatch; divide by the number of steps."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    bad_step: Int[Array, ""]  # the first step whose loss was not finite, else −1


def to_network_input(images: UInt8[Array | np.ndarray, "n 28 28"]) -> Float[Array, "n 28 28 1"]:
    """Grey levels 0–255 as the network takes them: float32 in 0–1 with a channel axis."""
    return jnp.asarray(images)[..., None].astype(jnp.float32) / 255


def sample_batch(key: Key[Array, ""], dataset: Dataset, n: int) -> Batch:
    """Draws n digits of the dataset uniformly, with replacement."""
    rows = jax.random.randint(key, (n,), 0, dataset.labels.shape[0])
    return Batch(to_network_input(dataset.images[rows]), dataset.labels[rows], jnp.ones(n))


def translate(
    key: Key[Array, ""], images: Float[Array, "n 28 28 1"], limit: int
) -> Float[Array, "n 28 28 1"]:
    """Moves each image by its own whole number of pixels, filling with zeros (section 3.1).

    Both offsets are uniform on −limit … limit, in pixels.
    """
    n, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)))
    offsets = jax.random.randint(key, (n, 2), 0, 2 * limit + 1)

    def cut(image: Float[Array, "H W 1"], offset: Int[Array, "2"]) -> Float[Array, "h w 1"]:
        return lax.dynamic_slice(image, (offset[0], offset[1], 0), (height, width, 1))

    return jax.vmap(cut)(padded, offsets)


def augment(
    key: Key[Array, ""],
    batch: Batch,
    recipe: TrainConfig,
    distractors: NegativePictures | None = None,
) -> Batch:
    """What the recipe makes of a batch of digits: shifted ones (section 3.1), or whole windows.

    Raises:
      ValueError: the recipe composes windows, and there are no distractors.
    """
    if not recipe.composes:
        return batch._replace(images=translate(key, batch.images, recipe.shift))
    if distractors is None:
        raise ArgumentError("this recipe composes windows, which takes `draw_distractors()`")
    images, centred = compose_windows(key, batch.images[..., 0], distractors, recipe)
    return batch._replace(images=images, centred=centred)


def loss_and_accuracy(
    params: Params, batch: Batch, mesh: Mesh, factors: DTypeLike = jnp.float32
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean cross-entropy −Σ_j t_j log f_θ^j(x) (section 2.1), and the share of digits right.

    t_j is c·I(y = j) + (1 − c)/10, where c is how far the digit y is centred: of a digit in its
    place the loss is the paper's, of a background window it is least at uniform probabilities, and
    of a near miss where the margin is c. For the accuracy only digits in their place count.
    Each device of the mesh takes its part of the batch; differentiate it from outside, and the
    gradient is that of the mean over the whole batch, whatever the number of devices.
    """

    # Unchecked, the transpose sums the devices' gradients of the replicated parameters.
    @partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False)
    def mean_over_devices(params: Params, batch: Batch) -> tuple[Array, Array]:
        logits = classify(params, batch.images, factors=factors)
        labels, centred = batch.labels.astype(jnp.int32), batch.centred[:, None]
        targets = centred * jax.nn.one_hot(labels, NUM_CLASSES) + (1 - centred) / NUM_CLASSES
        loss = optax.softmax_cross_entropy(logits, targets).mean()
        digit = batch.centred == 1
        right = digit & (jnp.argmax(logits, axis=-1) == labels)
        counts = (right.astype(jnp.float32).sum(), digit.astype(jnp.float32).sum())
        right, digits = lax.psum(counts, "data")
        return lax.pmean(loss, "data"), right / jnp.maximum(digits, 1.0)

    return mean_over_devices(params, batch)


def train_step(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    recipe: TrainConfig,
    mesh: Mesh,
    distractors: NegativePictures | None = None,
) -> tuple[TrainState, Metrics]:
    """Shifts the batch, or composes windows, and moves the parameters against the gradient.

    Bind the recipe and the mesh with `functools.partial` for the plain
    `train_step(state, batch, key) -> (state, metrics)`. A recipe that composes windows takes
    distractors, too, of `draw_distractors`; under `jit` as an argument, since they are many.

    Raises:
      ValueError: the recipe composes windows, and there are no distractors.
    """
    return apply_gradients(
        state, augment(key, batch, recipe, distractors), recipe=recipe, mesh=mesh
    )


def apply_gradients(
    state: TrainState, windows: Batch, *, recipe: TrainConfig, mesh: Mesh
) -> tuple[TrainState, Metrics]:
    """Moves the parameters against the gradient of the loss of these windows."""
    gradient = jax.value_and_grad(loss_and_accuracy, has_aux=True)
    (loss, accuracy), grads = gradient(state.params, windows, mesh, recipe.factors)
    updates, opt_state = recipe.tx().update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    bad_step = jnp.where(jnp.isfinite(loss), -1, state.step)
    return TrainState(state.step + 1, params, opt_state), Metrics(loss, accuracy, bad_step)


def initial_state(recipe: TrainConfig, key: Key[Array, ""]) -> TrainState:
    """Fresh parameters and optimizer state, at step 0."""
    params = init(key)
    return TrainState(jnp.zeros((), jnp.int32), params, recipe.tx().init(params))
