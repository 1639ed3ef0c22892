"""Orbax's managers of one folder of checkpoints: one that writes, and one that reads."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digits_jax.runtime.distributed import own_number

KEEP_NEWEST = 3  # checkpoints kept besides the best one


class CheckpointManagers(NamedTuple):
    """The managers of one folder, which may be the same one."""

    writer: Any  # an Orbax `CheckpointManager`; it writes nothing if the folder is only read
    reader: Any  # the same one, or one whose process waits for no other

    def close(self) -> None:
        """Closes both; neither can be used after it."""
        if self.reader is not self.writer:
            self.reader.close()
        self.writer.close()


def open_managers(
    folder: Path, best_step: Callable[[Iterable[int]], int], *, read_only: bool
) -> CheckpointManagers:
    """Opens the managers of a folder.

    Args:
      folder: the folder of the checkpoints.
      best_step: chooses the step of the best checkpoint, which is kept, from those that there are.
      read_only: whether to leave the folder as it is, unfinished saves included.
    """
    # Imported here because Orbax takes seconds, which `import digits_jax` should not.
    import orbax.checkpoint as ocp

    number = own_number()
    # Each process reads by itself. Orbax's waiting for the others would get mixed up with the
    # program's own exchanges where a read error makes one process leave early.
    alone = ocp.options.MultiprocessingOptions()
    if number is not None:
        alone = ocp.options.MultiprocessingOptions(
            primary_host=number,
            active_processes={number},
            barrier_sync_key_prefix=f"reader_{number}",
        )
    folder = folder.absolute()
    reading = ocp.CheckpointManagerOptions(
        read_only=True, create=False, save_interval_steps=0, multiprocessing_options=alone
    )
    if read_only:
        reader = ocp.CheckpointManager(folder, options=reading)
        return CheckpointManagers(reader, reader)
    writing = ocp.CheckpointManagerOptions(
        preservation_policy=_NewestAndBest(best_step),
        cleanup_tmp_directories=True,  # of saves that a killed run left unfinished
        # On CPU, Orbax would read the arrays in the background from memory that is donated to
        # the next step.
        enable_async_checkpointing=False,
    )
    writer = ocp.CheckpointManager(folder, options=writing)
    if number is None:
        return CheckpointManagers(writer, writer)
    return CheckpointManagers(writer, ocp.CheckpointManager(folder, options=reading))


class _NewestAndBest:
    """Orbax's preservation policy: keeps the newest checkpoints and the best one."""

    def __init__(self, best_step: Callable[[Iterable[int]], int]):
        self._best_step = best_step

    def should_preserve(self, checkpoints: Sequence[Any], *, context: object) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        preserved = {*sorted(steps)[-KEEP_NEWEST:], self._best_step(steps)}
        return [step in preserved for step in steps]
