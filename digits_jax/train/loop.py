"""A whole training run: from the start, or from its last checkpoint, to the end."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.models.cnn import Params
from digits_jax.runtime.devices import data_mesh
from digits_jax.runtime.distributed import (
    check_same_in_all_processes,
    is_main_process,
    is_stop_requested,
    raise_in_all_processes,
    wait_for_all_processes,
)
from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.progress import ProgressBar, log
from digits_jax.train.checkpoints import Checkpoints, load_best, open_checkpoints
from digits_jax.train.comparison import (
    count_test_errors,
    describe_start,
    write_comparison,
)
from digits_jax.train.config import TrainConfig
from digits_jax.train.evaluate import accuracy
from digits_jax.train.initial_weights import params_sha256, resolve_weights
from digits_jax.train.multi_step import make_multi_step, steps_per_dispatch
from digits_jax.train.named_configs import get_config
from digits_jax.train.pictures import DrawnPictures, draw_pictures, pictures_sha256
from digits_jax.train.plots import plot_training_curve
from digits_jax.train.running_metrics import RunningMetrics
from digits_jax.train.schedule import learning_rate_schedule
from digits_jax.train.signals import Interrupted, collect_signals
from digits_jax.train.step import TrainState, initial_state
from digits_jax.train.training_data import (
    Digits,
    TrainingData,
    choose_digits,
    select_training_digits,
)
from digits_jax.train.workdir import (
    Evaluation,
    MetricsLog,
    RunInfo,
    WorkdirError,
    lock_workdir,
    record_pictures,
    start_run,
)


class Diverged(DigitsJaxError):
    """The loss or the parameters are no longer finite numbers."""


def train(
    config: TrainConfig | str = "standard",
    workdir: str | Path = "runs/standard",
    seed: int = 0,
    *,
    data_dir: Path | None = None,
    mnist: Mnist | None = None,
    digits: Digits | None = None,
    init: str | Path | Params | None = None,
    max_steps_per_call: int | None = None,
    draw_pictures: Callable[[Dataset, TrainConfig], DrawnPictures] = draw_pictures,
) -> Params:
    """Trains to the last step of the configuration, starting from the newest checkpoint if any.

    The same configuration and seed give the same parameters, bit for bit on CPU, however often the
    run was stopped or killed.

    Args:
      config: a `TrainConfig`, or the name of one in `CONFIGS`.
      workdir: the folder for `run.json`, `metrics.jsonl`, `checkpoints/` and `training_curve.png`.
      seed: the seed of the initial parameters, the sampling and the augmentation.
      data_dir: a folder that holds MNIST; see `load_mnist`.
      mnist: MNIST, instead of `load_mnist(data_dir)`.
      digits: what to train on instead of MNIST: the path of a folder or file, or several
        (`load_custom_digits` says which), images with their labels (`Dataset`), or digits that are
        divided already (`CustomDigits`). MNIST's are mixed in as `config.mnist_share` says.
      init: the weights to start from instead of random ones: "pretrained", the path of a work
        folder or of a weights file, or the parameters. Give the same again to continue the run.
      max_steps_per_call: the most steps of one call of the compiled program. The default is
        `steps_per_dispatch` of the devices.
      draw_pictures: returns the pictures that the configuration needs, given the training digits.
        It is called only if some are needed.

    Returns:
      The parameters of the checkpoint with the best validation accuracy, or of the last one if the
      run trains on the validation digits.

    Raises:
      ConfigError: there is no configuration of that name.
      WorkdirError: the folder belongs to another run, cannot be written, or its checkpoints cannot
        be read.
      DataError: MNIST or the digits could not be loaded.
      WeightsError: the weights to start from could not be loaded.
      Diverged: the loss or the parameters were not finite.
      Interrupted: a SIGINT or SIGTERM came during training; the state was saved.
      ClusterError: there are several processes, and the first could not begin, or they do not see
        the same checkpoints.
    """
    config = config if isinstance(config, TrainConfig) else get_config(config)
    workdir = Path(workdir)
    is_main = is_main_process()
    data = choose_digits(digits, mnist or load_mnist(data_dir, log), log if is_main else _ignore)
    start = resolve_weights(str(init)) if isinstance(init, str | Path) else init
    run = RunInfo(config, seed, data.sha256, digits=data.description)
    if start is not None:
        name = str(init) if isinstance(init, str | Path) else "parameters"
        run = run._replace(init=name, init_sha256=params_sha256(start))

    def draw_and_record(digits: Dataset, config: TrainConfig) -> DrawnPictures:
        pictures = draw_pictures(digits, config)
        negatives, hands = pictures_sha256(pictures)
        drawn = run._replace(negatives_sha256=negatives, other_hands_sha256=hands)
        if is_main:
            record_pictures(workdir, drawn)
        return pictures

    with ExitStack() as stack:
        refusal = None
        if is_main:
            try:
                stack.enter_context(lock_workdir(workdir))
                start_run(workdir, run)
            except WorkdirError as error:
                refusal = error
        raise_in_all_processes(refusal)
        checkpoints = stack.enter_context(open_checkpoints(workdir))
        received = stack.enter_context(collect_signals())
        before = count_test_errors(start, data) if start is not None and is_main else None
        if before:
            log(describe_start(before))
        training = (max_steps_per_call, draw_and_record)
        _train(run, workdir, data, start, checkpoints, received, *training)
    if is_main:
        plot_training_curve(workdir)
    wait_for_all_processes("last evaluation")  # all read metrics.jsonl, which one has written
    step, params = load_best(workdir)
    if is_main and (data.mnist is not None or before):
        write_comparison(workdir, step, before, count_test_errors(params, data))
    return params


def _train(
    run: RunInfo,
    workdir: Path,
    data: TrainingData,
    start: Params | None,
    checkpoints: Checkpoints,
    received_signals: list[int],
    max_steps_per_call: int | None,
    draw_pictures: Callable[[Dataset, TrainConfig], DrawnPictures],
) -> None:
    config = run.config
    is_main = is_main_process()
    report = log if is_main else _ignore
    mesh = data_mesh(config.batch_size)
    replicated = NamedSharding(mesh, P())
    init_key, run_key = jax.random.split(jax.random.key(run.seed))
    restored = checkpoints.restore_newest(config, report)
    state, metrics = restored or (initial_state(config, init_key, start), RunningMetrics())
    step = int(state.step)
    check_same_in_all_processes(int(data.sha256[:7], 16), "the same digits in all processes")
    asked = 0  # the first step for which `is_stop_requested` was not asked yet
    metrics_log = MetricsLog(workdir, until_step=step) if is_main else None
    if step >= config.steps:
        report(f"{workdir} is finished: {step:,} of {config.steps:,} steps are done")
        return
    devices = f"{mesh.size} × {mesh.devices.flat[0].device_kind}"
    verb = "continuing" if step else "beginning"
    report(f"{verb} at step {step:,} of {config.steps:,} on {devices}")
    max_steps = max_steps_per_call or steps_per_dispatch(mesh)
    multi_step = make_multi_step(config, mesh, max_steps=max_steps, draw_pictures=draw_pictures)
    digits = data.digits._replace(train=select_training_digits(data.digits, config))
    # Unlike device_put, a program takes arrays of this process to the devices of all.
    replicate = jax.jit(lambda arrays: arrays, out_shardings=replicated)
    state, run_key, digits, mnist = replicate((state, run_key, digits, data.mnist))
    beside = None if mnist is None else mnist.train
    with closing(ProgressBar(config.steps, "step", initial=step, hidden=not is_main)) as bar:
        while step < config.steps:
            count = _steps_to_evaluation(config, step, max_steps)
            begun = time.monotonic()
            state, sums = multi_step(state, digits.train, run_key, count, beside)
            sums = jax.device_get(sums)
            metrics = metrics.add(sums, count, time.monotonic() - begun)
            step += count
            is_evaluation = config.is_evaluation_step(step)
            is_stop = is_stop_requested(range(asked, step + 1))
            asked = step + 1
            stop = [signal.SIGTERM] if is_stop else received_signals[:1]
            if sums.bad_step >= 0:
                raise _diverged(int(sums.bad_step), config, checkpoints)
            if (is_evaluation or stop) and not _is_finite(state.params):
                raise _diverged(step - 1, config, checkpoints)
            speed = metrics.images_per_second(config.batch_size)
            loss, train_accuracy = metrics.mean_loss, metrics.mean_accuracy
            text = f"loss {loss:.4f}, accuracy {train_accuracy:.4f}, {speed:,.0f} images/s"
            bar.update(step, text)
            if is_evaluation:
                row = _evaluate(state, metrics, config, digits, mnist)
                metrics = RunningMetrics(seconds=row.seconds)
                report(_describe(row))
                if metrics_log:
                    metrics_log.append(row)
                checkpoints.save(state, metrics, row.validation_accuracy)
            if stop:
                if not is_evaluation:
                    checkpoints.save(state, metrics, None)
                raise Interrupted(stop[0], step)


def _steps_to_evaluation(config: TrainConfig, step: int, max_steps: int) -> int:
    """Returns the number of steps to the next evaluation, or `max_steps` if that is fewer."""
    for count in range(1, max_steps):
        if config.is_evaluation_step(step + count):
            return count
    return max_steps


def _evaluate(
    state: TrainState,
    metrics: RunningMetrics,
    config: TrainConfig,
    digits: Mnist,
    mnist: Mnist | None,
) -> Evaluation:
    begun = time.monotonic()
    validation = test = mnist_test = None
    if not config.train_on_validation:
        validation = accuracy(state.params, digits.validation)
    if not config.train_on_validation or state.step == config.steps:
        test = accuracy(state.params, digits.test)
        mnist_test = None if mnist is None else accuracy(state.params, mnist.test)
    return Evaluation(
        step=int(state.step),
        train_loss=metrics.mean_loss,
        train_accuracy=metrics.mean_accuracy,
        validation_accuracy=validation,
        test_accuracy=test,
        images_per_second=metrics.images_per_second(config.batch_size),
        seconds=metrics.seconds + time.monotonic() - begun,
        mnist_test_accuracy=mnist_test,
    )


def _is_finite(params: Params) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))


def _diverged(step: int, config: TrainConfig, checkpoints: Checkpoints) -> Diverged:
    saved = checkpoints.steps()
    last = (
        f"the last good checkpoint is of step {saved[-1]}"
        if saved
        else "no checkpoint is saved yet"
    )
    return Diverged(
        f"the loss or the parameters are no longer finite at step {step + 1} "
        f"(learning rate {float(learning_rate_schedule(config)(step)):g}); {last}. "
        "Try a lower --learning-rate in another --workdir."
    )


def _ignore(_: str) -> None:
    """Takes the place of `log` in all processes but the main one."""


def _describe(row: Evaluation) -> str:
    accuracies = {
        "training": row.train_accuracy,
        "validation": row.validation_accuracy,
        "test": row.test_accuracy,
        "MNIST's test": row.mnist_test_accuracy,
    }
    text = ", ".join(
        f"{name} {value:.4f}" for name, value in accuracies.items() if value is not None
    )
    return (
        f"step {row.step}: loss {row.train_loss:.4f}, accuracy: {text}; "
        f"{row.images_per_second:,.0f} images/s, {row.seconds / 60:.1f} min"
    )
