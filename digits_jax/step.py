"""One training step as pure functions, and the program that runs many of them on a mesh."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.stages import Compiled
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, UInt8

from digits_jax.background import Pictures, compose, draw_pictures, pictures_to_come
from digits_jax.data import Dataset
from digits_jax.network import CLASSES, Params, classify, init
from digits_jax.options import options
from digits_jax.recipe import Recipe


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


def pixels(images: UInt8[Array | np.ndarray, "n 28 28"]) -> Float[Array, "n 28 28 1"]:
    """Grey levels 0–255 as the network takes them: float32 in 0–1 with a channel axis."""
    return jnp.asarray(images)[..., None].astype(jnp.float32) / 255


def sample(key: Key[Array, ""], dataset: Dataset, n: int) -> Batch:
    """Draws n digits of the dataset uniformly, with replacement."""
    rows = jax.random.randint(key, (n,), 0, dataset.labels.shape[0])
    return Batch(pixels(dataset.images[rows]), dataset.labels[rows], jnp.ones(n))


def shift(
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
    key: Key[Array, ""], batch: Batch, recipe: Recipe, pictures: Pictures | None = None
) -> Batch:
    """What the recipe makes of a batch of digits: shifted ones (section 3.1), or whole windows.

    In these there are `pictures`, of `draw_pictures`, which are drawn if they are not given.
    """
    if not recipe.composes:
        return batch._replace(images=shift(key, batch.images, recipe.shift))
    images, centred = compose(key, batch.images[..., 0], pictures or draw_pictures(), recipe)
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
        targets = centred * jax.nn.one_hot(labels, CLASSES) + (1 - centred) / CLASSES
        loss = optax.softmax_cross_entropy(logits, targets).mean()
        digit = batch.centred == 1
        right = digit & (jnp.argmax(logits, axis=-1) == labels)
        counts = (right.astype(jnp.float32).sum(), digit.astype(jnp.float32).sum())
        right, digits = lax.psum(counts, "data")
        return lax.pmean(loss, "data"), right / jnp.maximum(digits, 1.0)

    return mean_over_devices(params, batch)


def train_step(
    state: TrainState, batch: Batch, key: Key[Array, ""], *, recipe: Recipe, mesh: Mesh
) -> tuple[TrainState, Metrics]:
    """Shifts the batch, or composes windows, and moves the parameters against the gradient.

    Bind the recipe and the mesh with `functools.partial` for the plain
    `train_step(state, batch, key) -> (state, metrics)`.
    """
    return descend(state, augment(key, batch, recipe), recipe=recipe, mesh=mesh)


def descend(
    state: TrainState, windows: Batch, *, recipe: Recipe, mesh: Mesh
) -> tuple[TrainState, Metrics]:
    """Moves the parameters against the gradient of the loss of these windows."""
    gradient = jax.value_and_grad(loss_and_accuracy, has_aux=True)
    (loss, accuracy), grads = gradient(state.params, windows, mesh, recipe.factors)
    updates, opt_state = recipe.tx().update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    bad_step = jnp.where(jnp.isfinite(loss), -1, state.step)
    return TrainState(state.step + 1, params, opt_state), Metrics(loss, accuracy, bad_step)


def initial_state(recipe: Recipe, key: Key[Array, ""]) -> TrainState:
    """Fresh parameters and optimizer state, at step 0."""
    params = init(key)
    return TrainState(jnp.zeros((), jnp.int32), params, recipe.tx().init(params))


# Steps whose windows a loop draws at once: these are many small operations, and on an accelerator
# each costs its launch, whatever its size.
DRAWN_AHEAD = 10

Count = int | Int[Array, ""]
Advance = Callable[[TrainState, Dataset, Key[Array, ""], Count], tuple[TrainState, Metrics]]


class Source(NamedTuple):
    """What windows are made of."""

    digits: Dataset
    pictures: Pictures | None  # none where digits are shifted and nothing else


def steps_per_dispatch(mesh: Mesh) -> int:
    """How many steps are best run by one call.

    One on CPU, since XLA there runs the body of a loop without spreading its element-wise work
    over the cores; many on accelerators, where each call costs more than a small step.
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else 100


def make_advance(recipe: Recipe, mesh: Mesh, *, looped: bool) -> Advance:
    """Makes one program on the mesh of sampling and training, compiled by its first call.

    Step k draws all its randomness from `fold_in(key, k)`, so that a run can stop after any step
    and go on as if it had not.

    Args:
      recipe: what a step does.
      mesh: of `data_mesh`; state, dataset and key are to be replicated on it.
      looped: whether a call does as many steps as it is asked to; else it does one, by a program
        without a loop around it.

    Returns:
      `advance(state, dataset, key, count) -> (state, metrics)`, which does `count` steps and
      donates `state`; states, datasets and keys are to be of one shape in all calls.
    """
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))

    def windows(step: Int[Array, ""], source: Source, key: Key[Array, ""]) -> Batch:
        sample_key, step_key = jax.random.split(jax.random.fold_in(key, step))
        batch = sample(sample_key, source.digits, recipe.batch_size)
        batch = lax.with_sharding_constraint(batch, sharded)
        return augment(step_key, batch, recipe, source.pictures)

    def one(
        state: TrainState, source: Source, key: Key[Array, ""], _: Count
    ) -> tuple[TrainState, Metrics]:
        return descend(state, windows(state.step, source, key), recipe=recipe, mesh=mesh)

    def many(
        state: TrainState, source: Source, key: Key[Array, ""], count: Count
    ) -> tuple[TrainState, Metrics]:
        end = state.step + count

        def block(carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, _ = carry
            begin, ahead = state.step, jnp.arange(DRAWN_AHEAD)
            batches = jax.vmap(windows, in_axes=(0, None, None))(begin + ahead, source, key)

            def body(
                k: Int[Array, ""], carry: tuple[TrainState, Metrics]
            ) -> tuple[TrainState, Metrics]:
                state, sums = carry
                batch = jax.tree.map(lambda array: array[k - begin], batches)
                state, step = descend(state, batch, recipe=recipe, mesh=mesh)
                bad_step = jnp.where(sums.bad_step < 0, step.bad_step, sums.bad_step)
                sums = Metrics(sums.loss + step.loss, sums.accuracy + step.accuracy, bad_step)
                return state, sums

            return lax.fori_loop(begin, jnp.minimum(begin + DRAWN_AHEAD, end), body, carry)

        sums = Metrics(jnp.zeros(()), jnp.zeros(()), jnp.int32(-1))
        return lax.while_loop(lambda carry: carry[0].step < end, block, (state, sums))

    program = jax.jit(many if looped else one, donate_argnums=0, out_shardings=replicated)
    prepared: list[tuple[Compiled, Pictures | None]] = []  # by the first call

    def prepare(
        state: TrainState, dataset: Dataset, key: Key[Array, ""], count: Count
    ) -> tuple[Compiled, Pictures | None]:
        """Compiles, and draws pictures meanwhile: either may take ten seconds."""
        # Else a GPU compiles a generator anew for each of the sixty draws of a window.
        with options(jax_threefry_gpu_kernel_lowering=True), ThreadPoolExecutor() as pool:
            drawing = pool.submit(draw_pictures) if recipe.composes else None
            source = Source(dataset, pictures_to_come(replicated) if drawing else None)
            compiled = program.lower(state, source, key, count).compile()
            pictures = jax.device_put(drawing.result(), replicated) if drawing else None
        return compiled, pictures

    def advance(
        state: TrainState, dataset: Dataset, key: Key[Array, ""], count: Count
    ) -> tuple[TrainState, Metrics]:
        if not looped and count != 1:
            raise ValueError(f"this program does one step a call, not {count}")
        if not prepared:
            prepared.append(prepare(state, dataset, key, count))
        ((compiled, pictures),) = prepared
        after: tuple[TrainState, Metrics] = compiled(state, Source(dataset, pictures), key, count)
        return after

    return advance
