"""The compiled program that samples, augments and trains on a mesh, one or many steps a call."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, runtime_checkable

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
from digits_jax.train.augment import augment
from digits_jax.train.batch import Batch, sample_batch
from digits_jax.train.config import TrainConfig
from digits_jax.train.pictures import DrawnPictures, draw_pictures, pictures_spec
from digits_jax.train.step import Metrics, TrainState, apply_gradients

# Steps whose batches a loop augments at once. Augmentation is many small operations, and on an
# accelerator each of them costs its launch, whatever its size.
BATCHES_AHEAD = 10

Count = int | Int[Array, ""]


@runtime_checkable
class MultiStep(Protocol):
    """Does `count` steps on a dataset, with MNIST's digits beside it if it is another."""

    def __call__(
        self,
        state: TrainState,
        dataset: Dataset,
        key: Key[Array, ""],
        count: Count,
        mnist: Dataset | None = None,
    ) -> tuple[TrainState, Metrics]:
        """Returns the state and the metrics after the steps."""


class _TrainingData(NamedTuple):
    """The pictures from which batches are made."""

    digits: Dataset
    pictures: DrawnPictures
    mnist: Dataset | None  # if the digits are others


def steps_per_dispatch(mesh: Mesh) -> int:
    """Returns the number of steps that one call should run to be fast.

    That is 1 on CPU, where XLA runs the body of a loop without spreading its element-wise work over
    the cores. It is 100 on accelerators, where each call costs more than a small step.
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else 100


def make_multi_step(
    config: TrainConfig,
    mesh: Mesh,
    *,
    max_steps: int,
    draw_pictures: Callable[[Dataset, TrainConfig], DrawnPictures] = draw_pictures,
    batches_ahead: int = BATCHES_AHEAD,
) -> MultiStep:
    """Makes the program that samples and trains on the mesh; its first call compiles it.

    Step k takes all its randomness from `fold_in(key, k)`, so that a run can stop after any step
    and continue as if it had not stopped.

    Args:
      config: what a step does.
      mesh: from `data_mesh`. Arrays that are committed to devices must be replicated on it.
      max_steps: the most steps of one call. With 1, the program has no loop around the step.
      draw_pictures: returns the pictures that the configuration needs, given the digits. It is
        called at most once, in a thread beside the compilation, and only if some are needed. The
        first call raises what it raises, before any step is done.
      batches_ahead: the number of batches that a loop augments at once.

    Returns:
      `multi_step(state, dataset, key, count, mnist=None) -> (state, metrics)`, which does `count`
      steps and donates `state`. States, datasets and keys must have the same shapes in all calls.
      Pictures are drawn from `mnist` if it is given. It raises an ArgumentError if `count` is not
      possible.
    """
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))

    def make_batch(step: Int[Array, ""], data: _TrainingData, key: Key[Array, ""]) -> Batch:
        sample_key, augment_key = jax.random.split(jax.random.fold_in(key, step))
        hands, share = data.pictures.hands, config.other_hands
        batch = sample_batch(
            sample_key,
            data.digits,
            config.batch_size,
            hands=hands,
            share=share,
            mnist=data.mnist,
            mnist_share=config.mnist_share,
        )
        batch = lax.with_sharding_constraint(batch, sharded)
        return augment(augment_key, batch, config, data.pictures.negatives)

    def run_one_step(
        state: TrainState, data: _TrainingData, key: Key[Array, ""], _: Count
    ) -> tuple[TrainState, Metrics]:
        return apply_gradients(state, make_batch(state.step, data, key), config=config, mesh=mesh)

    def run_loop(
        state: TrainState, data: _TrainingData, key: Key[Array, ""], count: Count
    ) -> tuple[TrainState, Metrics]:
        end = state.step + count

        def run_block(carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, _ = carry
            begin, ahead = state.step, jnp.arange(batches_ahead)
            batches = jax.vmap(make_batch, in_axes=(0, None, None))(begin + ahead, data, key)

            def run_step(
                k: Int[Array, ""], carry: tuple[TrainState, Metrics]
            ) -> tuple[TrainState, Metrics]:
                state, sums = carry
                batch = jax.tree.map(lambda array: array[k - begin], batches)
                state, metrics = apply_gradients(state, batch, config=config, mesh=mesh)
                bad_step = jnp.where(sums.bad_step < 0, metrics.bad_step, sums.bad_step)
                loss, accuracy = sums.loss + metrics.loss, sums.accuracy + metrics.accuracy
                return state, Metrics(loss, accuracy, bad_step)

            return lax.fori_loop(begin, jnp.minimum(begin + batches_ahead, end), run_step, carry)

        sums = Metrics(jnp.zeros(()), jnp.zeros(()), jnp.int32(-1))
        return lax.while_loop(lambda carry: carry[0].step < end, run_block, (state, sums))

    program = jax.jit(
        run_loop if max_steps > 1 else run_one_step,
        donate_argnums=0,
        in_shardings=replicated,
        out_shardings=replicated,
    )
    compiled: Compiled | None = None
    pictures = DrawnPictures()

    def prepare(
        state: TrainState, data: _TrainingData, key: Key[Array, ""], count: Count
    ) -> tuple[Compiled, DrawnPictures]:
        """Compiles the program and meanwhile draws the pictures: both take up to a minute."""
        # Without this option a GPU compiles a generator anew for each of the sixty random draws of
        # a window. The kernel's numbers go through the memory, which costs little here.
        gpu = mesh.devices.flat[0].platform == "gpu"
        options = {"jax_threefry_gpu_kernel_lowering": True} if gpu else {}
        with ThreadPoolExecutor() as pool:
            spec, digits = pictures_spec(config), data.mnist or data.digits
            drawing = pool.submit(draw_pictures, digits, config) if any(spec) else None
            data = data._replace(pictures=spec)
            with temporary_jax_config(**options):
                lowered = program.lower(state, data, key, count)
            compiled = lowered.compile()
            drawn = drawing.result() if drawing else DrawnPictures()
            # Unlike device_put, a program takes arrays of this process to the devices of all.
            drawn = jax.jit(lambda pictures: pictures, out_shardings=replicated)(drawn)
        return compiled, drawn

    def multi_step(
        state: TrainState,
        dataset: Dataset,
        key: Key[Array, ""],
        count: Count,
        mnist: Dataset | None = None,
    ) -> tuple[TrainState, Metrics]:
        if count > max_steps or (max_steps == 1 and count != 1):
            allowed = "1 step" if max_steps == 1 else f"at most {max_steps} steps"
            raise ArgumentError(f"expected {allowed} a call; got {count}: make another program")
        nonlocal compiled, pictures
        if compiled is None:
            data = _TrainingData(dataset, pictures, mnist)
            compiled, pictures = prepare(state, data, key, count)
        return compiled(state, _TrainingData(dataset, pictures, mnist), key, count)

    return multi_step
