"""Checkpoints of a run, written by Orbax to `checkpoints/` in its work folder.

The newest three are kept, and the one with the best validation accuracy.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import jax
import numpy as np
from jax.sharding import Sharding

from digits_jax.models.cnn import Params
from digits_jax.runtime import progress
from digits_jax.runtime.distributed import (
    check_same_in_all_processes,
    name_failed_processes,
    own_number,
)
from digits_jax.runtime.errors import first_line
from digits_jax.train.checkpoint_managers import open_managers
from digits_jax.train.config import TrainConfig
from digits_jax.train.running_metrics import RunningMetrics
from digits_jax.train.standard_error import standard_error
from digits_jax.train.step import TrainState, initial_state
from digits_jax.train.workdir import (
    WorkdirError,
    count_own_validation_digits,
    read_metrics,
    read_run,
)


class Checkpoints:
    """The checkpoints of one work folder, read and written by Orbax's `CheckpointManager`.

    Args:
      workdir: the work folder of a run.
      read_only: whether to leave the folder as it is, unfinished saves included.
    """

    def __init__(self, workdir: Path, *, read_only: bool = False):
        # Orbax could store the accuracies, but it fails on opening if their file is damaged.
        rows = read_metrics(workdir / "metrics.jsonl")
        accuracies = {row.step: row.validation_accuracy for row in rows}
        self._validation = {step: value for step, value in accuracies.items() if value is not None}
        self._own_validation_digits = count_own_validation_digits(workdir)
        self._managers = open_managers(workdir / "checkpoints", self.best_step, read_only=read_only)

    def steps(self) -> list[int]:
        """Returns the steps of the saved checkpoints, in ascending order."""
        return sorted(self._managers.writer.all_steps())

    def save(
        self, state: TrainState, metrics: RunningMetrics, validation_accuracy: float | None
    ) -> None:
        """Saves a checkpoint completely or not at all.

        Args:
          state: the run's state.
          metrics: the run's metrics since the last evaluation.
          validation_accuracy: the accuracy of the state, 0–1, or None if it was not evaluated. Only
            checkpoints with an accuracy compete for the best one.

        Raises:
          WorkdirError: it could not be written; older checkpoints are not touched.
        """
        import orbax.checkpoint as ocp

        step = int(state.step)
        if validation_accuracy is not None:
            self._validation[step] = validation_accuracy
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            progress=ocp.args.JsonSave({**metrics._asdict(), "sha256": _sha256(state)}),
        )
        try:
            self._managers.writer.save(step, args=items, force=True)
        except Exception as error:  # Orbax and TensorStore raise many kinds, as for a full disk
            raise WorkdirError(
                f"checkpoint {step} cannot be saved: {first_line(error)}. The checkpoints before "
                "it are as they were: make room, and continue the run with the same command"
            ) from error

    def restore(
        self, step: int, config: TrainConfig, sharding: Sharding
    ) -> tuple[TrainState, RunningMetrics]:
        """Reads one checkpoint onto the given devices.

        Args:
          step: the step of the checkpoint.
          config: the run's configuration, which decides the shapes of the state.
          sharding: the devices of this process onto which to read.

        Returns:
          The state, and the metrics that were saved with it.

        Raises:
          WorkdirError: the checkpoint is incomplete or damaged.
        """
        import orbax.checkpoint as ocp

        shapes = jax.eval_shape(lambda: initial_state(config, jax.random.key(0)))
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes
        )
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(target), progress=ocp.args.JsonRestore()
        )
        try:
            restored = self._managers.reader.restore(step, args=items)
            state, stored = restored["state"], dict(restored["progress"])
            sha256 = stored.pop("sha256")
            metrics = RunningMetrics(**stored)
        except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
            raise WorkdirError(f"checkpoint {step} cannot be read: {first_line(error)}") from error
        if _sha256(state) != sha256:
            raise WorkdirError(f"checkpoint {step} does not hold what was saved")
        return state, metrics

    def restore_newest(
        self, config: TrainConfig, report: Callable[[str], None]
    ) -> tuple[TrainState, RunningMetrics] | None:
        """Reads the newest intact checkpoint, and deletes the damaged ones after it.

        Of several processes all must call it, and all read the same checkpoint: one that some of
        them cannot read is damaged for all.

        Args:
          config: the run's configuration.
          report: receives a line for each checkpoint that is deleted.

        Returns:
          The state, as NumPy arrays, and metrics; or None if there is no checkpoint.

        Raises:
          WorkdirError: there are checkpoints, but none can be read; nothing is deleted.
          ClusterError: the processes do not see the same checkpoints.
        """
        steps = self.steps()
        check_same_in_all_processes(
            crc32(repr(steps).encode()) % 2**31,
            "a work folder that all processes see, with the same checkpoints (the numbers are "
            "hashes of their steps)",
        )
        failures: dict[int, WorkdirError] = {}
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        for step in reversed(steps):
            restored: tuple[TrainState, RunningMetrics] | None = None
            own_failure: WorkdirError | None = None
            try:
                restored = self.restore(step, config, sharding)
            except WorkdirError as error:
                own_failure = error
            unable = name_failed_processes(own_failure is not None)
            if own_failure and own_number() is not None:
                progress.log(f"process {own_number()}: {own_failure}")
            if restored is None or unable:
                failures[step] = own_failure or WorkdirError(
                    f"checkpoint {step} cannot be read by {unable}, whose message says why"
                )
                continue
            for damaged, failure in failures.items():
                report(f"{failure}; it is deleted, and checkpoint {step} is used")
                self._managers.writer.delete(damaged)
            return jax.device_get(restored)
        if failures:
            reasons = "; ".join(map(str, failures.values()))
            raise WorkdirError(
                f"{reasons}. Expected an intact checkpoint: restore one from a copy, or train in "
                "another folder"
            )
        return None

    def best_step(self, steps: Iterable[int]) -> int:
        """Returns the step with the best validation accuracy; of several equal ones, the latest.

        All accuracies within one standard error of the run's best count as equal to it. Without
        validation accuracies, the latest step is the best.

        Args:
          steps: the steps to choose from; at least one.
        """
        best = max(self._validation.values(), default=0.0)
        best -= standard_error(best, self._own_validation_digits)
        return max(steps, key=lambda step: (min(self._validation.get(step, -1.0), best), step))

    def close(self) -> None:
        """Closes the managers; the object cannot be used after it."""
        self._managers.close()


@contextmanager
def open_checkpoints(workdir: Path, *, read_only: bool = False) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a work folder, and closes them after the `with` block."""
    checkpoints = Checkpoints(workdir, read_only=read_only)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def _sha256(state: TrainState) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        digest.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return digest.hexdigest()


def load_checkpoint(workdir: str | Path) -> Params:
    """Loads a run's parameters from the checkpoint with the best validation accuracy.

    Of several within one standard error of the best accuracy, it takes the latest. A run that
    trains on the validation digits has no such accuracy: its latest checkpoint is taken.

    Args:
      workdir: a folder to which `digits-jax train` has written.

    Returns:
      The parameters, on the default device.

    Raises:
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
    """
    return load_best(Path(workdir))[1]


def load_best(workdir: Path) -> tuple[int, Params]:
    """Loads the parameters of `load_checkpoint`, together with their checkpoint's step.

    Args:
      workdir: a folder to which `digits-jax train` has written.

    Returns:
      The step, and the parameters on the default device.

    Raises:
      WorkdirError: as for `load_checkpoint`.
    """
    config = read_run(workdir).config
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    with open_checkpoints(workdir, read_only=True) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            raise WorkdirError(f"{workdir} holds no checkpoint yet: train it first")
        step = checkpoints.best_step(steps)
        try:
            state, _ = checkpoints.restore(step, config, sharding)
        except WorkdirError as error:
            raise WorkdirError(f"{workdir}: {error}") from error
    return step, state.params
