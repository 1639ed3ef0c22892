"""Several processes of one run that go on if one of them is lost: how they begin and end together.

They were joined with `outlive_lost`. JAX then ends no process for the loss of another, unless it is
that of process 0, which runs the service that connects them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax
from jax.experimental.multihost_utils import ProcessFailureError, live_devices

from digits_jax.runtime.distributed import detect_lost_processes, is_main_process
from digits_jax.runtime.errors import DigitsJaxError


@contextmanager
def begin_together() -> Iterator[None]:
    """Ends all processes in order if they cannot begin, in a `with` block that all enter.

    They were joined with `outlive_lost`. What may fail in some of them alone has to be within
    `fail_together`, so that an error ends the block in all of them.

    Raises:
      ProcessLost: a process was lost meanwhile.
    """
    try:
        with detect_lost_processes():
            yield
    except (DigitsJaxError, OSError):
        _wait_until_others_have_left()
        raise


@contextmanager
def meet_live_processes() -> Iterator[list[int]]:
    """Waits at both ends of a `with` block for all processes that are not lost, however long.

    All processes, joined with `outlive_lost`, call it once, as their last meeting. A process whose
    heartbeat stops during it no longer counts. At the end the main process waits until the others
    have left.

    Yields:
      The numbers of the processes that were lost before; those that have ended count as such.
    """
    if jax.process_count() == 1:
        yield []
        return
    failure: Exception | None = None
    # A process that is lost within the block had done all its work.
    with suppress(ProcessFailureError), live_devices(jax.devices()) as devices:
        live = {device.process_index for device in devices}
        try:
            yield [number for number in range(jax.process_count()) if number not in live]
        except Exception as error:
            failure = error
    _wait_until_others_have_left()
    if failure:
        raise failure


def _wait_until_others_have_left() -> None:
    """Waits, in process 0, whose end would make JAX abort those that are still there."""
    if jax.process_count() > 1 and is_main_process():
        # Both ends of the block wait for all that are there; it raises since the others leave.
        with suppress(ProcessFailureError), live_devices(jax.devices()):
            pass
