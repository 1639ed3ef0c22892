"""The program that samples and trains on a mesh of devices, one step at a time or many."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.stages import Compiled
from jaxtyping import Array, Int, Key

from digits_jax.data.mnist import Dataset
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.jax_config import temporary_jax_config
from digits_jax.train.augment import NegativePictures, draw_negatives, negatives_spec
from digits_jax.train.config import TrainConfig
from digits_jax.train.step import Batch, Metrics, TrainState, apply_gradients, augment, sample_batch

# Steps whose windows a loop draws at once: these are many small operations, and on an accelerator
# each costs its launch, whatever its size.
BATCHES_AHEAD = 10

Count = int | Int[Array, ""]
MultiStep = Callable[[TrainState, Dataset, Key[Array, ""], Count], tuple[TrainState, Metrics]]


class TrainingData(NamedTuple):
    """What windows are made of."""

    digits: Dataset
    distractors: NegativePictures | None  # none where digits are shifted and nothing else


def steps_per_dispatch(mesh: Mesh) -> int:
    """How many steps are best run by one call.

    One on CPU, since XLA there runs the body of a loop without spreading its element-wise work
    over the cores; many on accelerators, where each call costs more than a small step.
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else 100


def make_multi_step(recipe: TrainConfig, mesh: Mesh, *, looped: bool) -> MultiStep:
    """Makes the program that samples and trains on the mesh; its first call prepares it.

    Step k draws all its randomness from `fold_in(key, k)`, so that a run can stop after any step
    and go on as if it had not.

    Args:
      recipe: what a step does.
      mesh: of `data_mesh`; what is committed to devices is to be replicated on it.
      looped: whether a call does as many steps as it is asked to; else it does one, by a program
        without a loop around it.

    Returns:
      `advance(state, dataset, key, count) -> (state, metrics)`, which does `count` steps and
      donates `state`; states, datasets and keys are to be of one shape in all calls. A program
      without a loop raises a ValueError if the count is not 1.
    """
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))

    def windows(step: Int[Array, ""], source: TrainingData, key: Key[Array, ""]) -> Batch:
        sample_key, step_key = jax.random.split(jax.random.fold_in(key, step))
        batch = sample_batch(sample_key, source.digits, recipe.batch_size)
        batch = lax.with_sharding_constraint(batch, sharded)
        return augment(step_key, batch, recipe, source.distractors)

    def one(
        state: TrainState, source: TrainingData, key: Key[Array, ""], _: Count
    ) -> tuple[TrainState, Metrics]:
        return apply_gradients(state, windows(state.step, source, key), recipe=recipe, mesh=mesh)

    def many(
        state: TrainState, source: TrainingData, key: Key[Array, ""], count: Count
    ) -> tuple[TrainState, Metrics]:
        end = state.step + count

        def block(carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, _ = carry
            begin, ahead = state.step, jnp.arange(BATCHES_AHEAD)
            batches = jax.vmap(windows, in_axes=(0, None, None))(begin + ahead, source, key)

            def body(
                k: Int[Array, ""], carry: tuple[TrainState, Metrics]
            ) -> tuple[TrainState, Metrics]:
                state, sums = carry
                batch = jax.tree.map(lambda array: array[k - begin], batches)
                state, step = apply_gradients(state, batch, recipe=recipe, mesh=mesh)
                bad_step = jnp.where(sums.bad_step < 0, step.bad_step, sums.bad_step)
                sums = Metrics(sums.loss + step.loss, sums.accuracy + step.accuracy, bad_step)
                return state, sums

            return lax.fori_loop(begin, jnp.minimum(begin + BATCHES_AHEAD, end), body, carry)

        sums = Metrics(jnp.zeros(()), jnp.zeros(()), jnp.int32(-1))
        return lax.while_loop(lambda carry: carry[0].step < end, block, (state, sums))

    program = jax.jit(
        many if looped else one,
        donate_argnums=0,
        in_shardings=replicated,
        out_shardings=replicated,
    )
    compiled: Compiled | None = None
    distractors: NegativePictures | None = None

    def prepare(
        state: TrainState, dataset: Dataset, key: Key[Array, ""], count: Count
    ) -> tuple[Compiled, NegativePictures | None]:
        """Compiles, and draws distractors meanwhile: either takes seconds."""
        # Else a GPU compiles a generator anew for each of the sixty draws of a window. What the
        # kernel draws goes through the memory, which is little here.
        gpu = mesh.devices.flat[0].platform == "gpu"
        generator = {"jax_threefry_gpu_kernel_lowering": True} if gpu else {}
        with ThreadPoolExecutor() as pool:
            drawing = pool.submit(draw_negatives) if recipe.composes else None
            source = TrainingData(dataset, negatives_spec() if drawing else None)
            with temporary_jax_config(**generator):
                lowered = program.lower(state, source, key, count)
            compiled = lowered.compile()
            drawn = jax.device_put(drawing.result(), replicated) if drawing else None
        return compiled, drawn

    def advance(
        state: TrainState, dataset: Dataset, key: Key[Array, ""], count: Count
    ) -> tuple[TrainState, Metrics]:
        if not looped and count != 1:
            raise ArgumentError(f"this program does one step a call, not {count}")
        nonlocal compiled, distractors
        if compiled is None:
            compiled, distractors = prepare(state, dataset, key, count)
        return compiled(state, TrainingData(dataset, distractors), key, count)

    return advance
