"""A whole training run: from nothing, or from its last checkpoint, to the end."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from digits_jax.data.mnist import MNIST_SHA256, Mnist, load_mnist
from digits_jax.models.cnn import Params
from digits_jax.runtime.devices import data_mesh
from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.progress import ProgressBar, log
from digits_jax.train.checkpoints import Checkpoints, RunningMetrics, load_best, open_checkpoints
from digits_jax.train.config import CONFIGS, ConfigError, TrainConfig
from digits_jax.train.evaluate import accuracy
from digits_jax.train.multi_step import make_multi_step, steps_per_dispatch
from digits_jax.train.plots import plot_training_curve
from digits_jax.train.step import TrainState, initial_state
from digits_jax.train.workdir import Evaluation, MetricsLog, RunInfo, start_run


class Interrupted(DigitsJaxError):
    """The run was asked to stop by a signal and has saved itself."""

    def __init__(self, signum: int, step: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} after step {step}; saved")
        self.signum = signum


class Diverged(DigitsJaxError):
    """The loss or the parameters are no longer finite numbers."""


def train(
    recipe: TrainConfig | str = "standard",
    workdir: str | Path = "runs/standard",
    seed: int = 0,
    *,
    data_dir: Path | None = None,
) -> Params:
    """Trains to the recipe's last step, going on from the work folder's newest checkpoint.

    The same recipe and seed give the same parameters, bit for bit on CPU, however often the run
    was stopped or killed on the way.

    Args:
      recipe: a `TrainConfig`, or the name of one in `CONFIGS`.
      workdir: where checkpoints, `metrics.jsonl` and `training_curve.png` go.
      seed: of the initial parameters, the sampling and the shifts.
      data_dir: a folder that holds MNIST; see `load_mnist`.

    Returns:
      The parameters of the kept checkpoint with the best validation accuracy.

    Raises:
      RecipeError: there is no recipe of that name.
      WorkdirError: the folder belongs to another run.
      DataError: MNIST could not be had.
      Diverged: the loss was not finite.
      Interrupted: a SIGINT or SIGTERM came during training; the state was saved.
    """
    recipe, workdir = _recipe(recipe), Path(workdir)
    mnist = load_mnist(data_dir, log)
    start_run(workdir, RunInfo(recipe, seed, MNIST_SHA256))
    with open_checkpoints(workdir) as checkpoints, _watch_signals() as received:
        _train(recipe, workdir, seed, mnist, checkpoints, received)
    plot_training_curve(workdir)
    return load_best(workdir)[1]


def _recipe(recipe: TrainConfig | str) -> TrainConfig:
    if isinstance(recipe, TrainConfig):
        return recipe
    if recipe not in CONFIGS:
        raise ConfigError(f"there is no recipe {recipe!r}; there are {', '.join(CONFIGS)}")
    return CONFIGS[recipe]


def _train(
    recipe: TrainConfig,
    workdir: Path,
    seed: int,
    mnist: Mnist,
    checkpoints: Checkpoints,
    received: list[int],
) -> None:
    mesh = data_mesh(recipe.batch_size)
    replicated = NamedSharding(mesh, P())
    init_key, run_key = jax.random.split(jax.random.key(seed))
    restored = checkpoints.restore_newest(recipe, replicated, log)
    state, progress = restored or (initial_state(recipe, init_key), RunningMetrics())
    step = int(state.step)
    record = MetricsLog(workdir, until_step=step)
    if step >= recipe.steps:
        log(f"{workdir} is finished: {step:,} of {recipe.steps:,} steps are done")
        return
    devices = f"{mesh.size} × {mesh.devices.flat[0].device_kind}"
    log(f"{'going on' if step else 'beginning'} at step {step:,} of {recipe.steps:,} on {devices}")
    longest = steps_per_dispatch(mesh)
    advance = make_multi_step(recipe, mesh, looped=longest > 1)
    state, run_key, mnist = jax.device_put((state, run_key, mnist), replicated)
    with closing(ProgressBar(recipe.steps, step)) as bar:
        while step < recipe.steps:
            count = _steps_to_pause(recipe, step, longest)
            begun = time.monotonic()
            state, sums = advance(state, mnist.train, run_key, count)
            sums = jax.device_get(sums)
            progress = progress.after(sums, count, time.monotonic() - begun)
            step += count
            pause, stop = recipe.evaluates_at(step), received[:1]
            if sums.bad_step >= 0:
                raise _diverged(int(sums.bad_step), recipe, checkpoints)
            if (pause or stop) and not _finite(state.params):
                raise _diverged(step - 1, recipe, checkpoints)
            bar.update(step, progress.mean_loss, progress.mean_accuracy, progress.rate(recipe))
            if pause:
                row, progress = _evaluate(state, progress, recipe, mnist)
                _log_evaluation(row)
                record.append(row)
                checkpoints.save(state, progress, row.validation_accuracy)
            if stop:
                if not pause:
                    checkpoints.save(state, progress, None)
                raise Interrupted(stop[0], step)


def _steps_to_pause(recipe: TrainConfig, step: int, longest: int) -> int:
    return next(n for n in range(1, longest + 1) if n == longest or recipe.evaluates_at(step + n))


def _evaluate(
    state: TrainState, progress: RunningMetrics, recipe: TrainConfig, mnist: Mnist
) -> tuple[Evaluation, RunningMetrics]:
    begun = time.monotonic()
    validation = accuracy(state.params, mnist.validation)
    test = accuracy(state.params, mnist.test)
    seconds = progress.seconds + time.monotonic() - begun
    row = Evaluation(
        step=int(state.step),
        train_loss=progress.mean_loss,
        train_accuracy=progress.mean_accuracy,
        validation_accuracy=validation,
        test_accuracy=test,
        images_per_second=progress.rate(recipe),
        seconds=seconds,
    )
    return row, RunningMetrics(seconds=seconds)


def _finite(params: Params) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))


def _diverged(step: int, recipe: TrainConfig, checkpoints: Checkpoints) -> Diverged:
    saved = checkpoints.steps()
    return Diverged(
        f"the loss or the parameters are no longer finite at step {step + 1} "
        f"(learning rate {float(recipe.learning_rates()(step)):g}); the last good checkpoint is "
        f"{f'of step {saved[-1]}' if saved else 'none: it is too early'}. "
        "Try a lower --learning-rate in another --workdir."
    )


@contextmanager
def _watch_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list, so that the run can save before it stops."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # Python lets only the main thread handle signals
        return

    def note(signum: int, frame: FrameType | None) -> None:
        received.append(signum)

    before = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _log_evaluation(row: Evaluation) -> None:
    log(
        f"step {row.step}: loss {row.train_loss:.4f}, accuracy: training {row.train_accuracy:.4f}, "
        f"validation {row.validation_accuracy:.4f}, test {row.test_accuracy:.4f}; "
        f"{row.images_per_second:,.0f} images/s, {row.seconds / 60:.1f} min"
    )
