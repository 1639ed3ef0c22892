"""Checkpoints of a run, written by Orbax to `checkpoints/` in its work folder.

Kept are the newest three, and the one with the best validation accuracy.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Sharding

from digits_jax.models.cnn import Params
from digits_jax.train.config import TrainConfig
from digits_jax.train.step import Metrics, TrainState, initial_state
from digits_jax.train.workdir import WorkdirError, read_metrics, read_run

KEEP_NEWEST = 3  # checkpoints kept, beside the best one
STANDARD_ERROR = 0.000705  # the standard error of an accuracy of 99.5 % on 10,000 digits


class RunningMetrics(NamedTuple):
    """What a run remembers besides its state: sums over the steps since the last evaluation."""

    loss: float = 0.0
    accuracy: float = 0.0
    steps: int = 0
    training_seconds: float = 0.0  # spent on those steps
    seconds: float = 0.0  # spent on the run so far, evaluations included, however often stopped

    def after(self, sums: Metrics, steps: int, seconds: float) -> "RunningMetrics":
        """With some more steps and the time they took."""
        return RunningMetrics(
            self.loss + float(sums.loss),
            self.accuracy + float(sums.accuracy),
            self.steps + steps,
            self.training_seconds + seconds,
            self.seconds + seconds,
        )

    @property
    def mean_loss(self) -> float:
        return self.loss / self.steps

    @property
    def mean_accuracy(self) -> float:
        return self.accuracy / self.steps

    def rate(self, recipe: TrainConfig) -> float:
        """Digits learned from in a second."""
        return self.steps * recipe.batch_size / self.training_seconds


class Checkpoints:
    """The checkpoints of one work folder, over an Orbax `CheckpointManager`."""

    def __init__(self, workdir: Path, *, read_only: bool = False):
        # Imported here, since Orbax takes seconds that `import digits_jax` should not.
        import orbax.checkpoint as ocp

        # Not kept by Orbax, which reads its metrics on opening and fails on a damaged file.
        rows = read_metrics(workdir / "metrics.jsonl")
        self._validation = {row.step: row.validation_accuracy for row in rows}
        self._args = ocp.args
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_NewestAndBest(self.best_of),
            cleanup_tmp_directories=True,  # of saves that a killed run left half done
            # On CPU Orbax would read the arrays in the background from memory that the next step
            # has been given to write to.
            enable_async_checkpointing=False,
        )
        if read_only:
            options = ocp.CheckpointManagerOptions(
                read_only=True, create=False, save_interval_steps=0
            )
        self._manager = ocp.CheckpointManager((workdir / "checkpoints").absolute(), options=options)

    def steps(self) -> list[int]:
        """The steps saved, in ascending order."""
        return sorted(self._manager.all_steps())

    def save(
        self, state: TrainState, progress: RunningMetrics, validation_accuracy: float | None
    ) -> None:
        """Saves atomically. An accuracy makes the checkpoint a candidate for the best one."""
        step, args = int(state.step), self._args
        if validation_accuracy is not None:
            self._validation[step] = validation_accuracy
        items = args.Composite(
            state=args.StandardSave(state),
            progress=args.JsonSave({**progress._asdict(), "sha256": _digest(state)}),
        )
        self._manager.save(step, args=items, force=True)

    def restore(
        self, step: int, recipe: TrainConfig, sharding: Sharding
    ) -> tuple[TrainState, RunningMetrics]:
        """Reads one checkpoint onto the given devices.

        Raises:
          WorkdirError: it is incomplete or damaged.
        """
        like = jax.eval_shape(lambda: initial_state(recipe, jax.random.key(0)))
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like
        )
        args = self._args
        items = args.Composite(state=args.StandardRestore(like), progress=args.JsonRestore())
        try:
            restored = self._manager.restore(step, args=items)
            state, stored = restored["state"], dict(restored["progress"])
            expected = stored.pop("sha256")
            progress = RunningMetrics(**stored)
        except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
            reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
            raise WorkdirError(f"checkpoint {step} cannot be read: {reason}") from error
        if _digest(state) != expected:
            raise WorkdirError(f"checkpoint {step} does not hold what was saved")
        return state, progress

    def restore_newest(
        self, recipe: TrainConfig, sharding: Sharding, say: Callable[[str], None]
    ) -> tuple[TrainState, RunningMetrics] | None:
        """Reads the newest checkpoint that is whole, and deletes damaged ones after it.

        Raises:
          WorkdirError: there are checkpoints, and none can be read; all are left as they are.
        """
        failures: dict[int, WorkdirError] = {}
        for step in reversed(self.steps()):
            try:
                restored = self.restore(step, recipe, sharding)
            except WorkdirError as error:
                failures[step] = error
                continue
            for damaged, failure in failures.items():
                say(f"{failure}; it is deleted, and checkpoint {step} used")
                self._manager.delete(damaged)
            return restored
        if failures:
            raise WorkdirError("; ".join(map(str, failures.values())))
        return None

    def best_of(self, steps: Iterable[int]) -> int:
        """Of the steps given the one with the best validation accuracy, the later of equals.

        Equal are those that are as good as the best of the run, but for CHANCE.
        """
        best = max(self._validation.values(), default=0.0) - STANDARD_ERROR
        return max(steps, key=lambda step: (min(self._validation.get(step, -1.0), best), step))

    def close(self) -> None:
        self._manager.close()


class _NewestAndBest:
    """Orbax's question which checkpoints to keep, answered."""

    def __init__(self, best_of: Callable[[Iterable[int]], int]):
        self._best_of = best_of

    def should_preserve(self, checkpoints: Sequence[Any], *, context: object) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-KEEP_NEWEST:], self._best_of(steps)}
        return [step in kept for step in steps]


@contextmanager
def open_checkpoints(workdir: Path, *, read_only: bool = False) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a work folder and closes them at the end."""
    checkpoints = Checkpoints(workdir, read_only=read_only)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def _digest(state: TrainState) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        digest.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return digest.hexdigest()


def load_checkpoint(workdir: str | Path) -> Params:
    """The parameters of a run: of its checkpoint with the best validation accuracy.

    Of several that chance tells apart, within a standard error of the best, the latest.

    Args:
      workdir: a folder that `digits-jax train` has written to.

    Returns:
      The parameters, on the default device.

    Raises:
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
    """
    return load_best(Path(workdir))[1]


def load_best(workdir: Path) -> tuple[int, Params]:
    """As `load_checkpoint`, with the step that the parameters are of."""
    recipe = read_run(workdir).recipe
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with open_checkpoints(workdir, read_only=True) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            raise WorkdirError(f"{workdir} holds no checkpoint yet")
        step = checkpoints.best_of(steps)
        try:
            state, _ = checkpoints.restore(step, recipe, sharding)
        except WorkdirError as error:
            raise WorkdirError(f"{workdir}: {error}") from error
    return step, state.params
