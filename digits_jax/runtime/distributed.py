"""Several processes of one run, on one host or many, by `jax.distributed`.

In training every process runs the same program on the devices of all of them (SPMD), and none can
go on without the others. In detection each searches its share of the images on its own devices, and
the loss of one stops no other. The main process is number 0.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from digits_jax.runtime.errors import DigitsJaxError, first_line
from digits_jax.runtime.jax_config import temporary_jax_config

# After that many seconds without a sign of life, a process counts as lost, and the others stop.
HEARTBEAT_TIMEOUT_S = 20
ROLL_CALL_TIMEOUT_S = 10  # in which the processes that are left answer
MPI_SIZE, MPI_RANK = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"


class ClusterError(DigitsJaxError):
    """The processes of a distributed run did not find each other, or do not agree."""


class ProcessLost(DigitsJaxError):
    """Another process of a distributed run has stopped, so that this one cannot go on."""


def join_processes(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    outlive_lost: bool = False,
) -> None:
    """Joins the processes of a distributed run; call it before JAX does anything else.

    Under SLURM, Kubernetes and on TPU pods, JAX finds the arguments by itself. Open MPI tells the
    numbers, and up to version 4 the coordinator.

    Args:
      coordinator: host and port of process 0, such as "10.0.0.1:1234", to which all connect.
      num_processes: the number of processes; by default Open MPI's.
      process_id: the number of this process, 0 to `num_processes` − 1; by default Open MPI's.
      outlive_lost: whether the other processes go on when one is lost, unless it is process 0. They
        may then exchange nothing any more, but meet in `meet_live_processes`. If False, all stop;
        and SIGTERM ends no process, but is known to `is_stop_requested`.

    Raises:
      ClusterError: some of the three arguments are given and others are not, or no cluster is
        found.
    """
    if coordinator and (num_processes, process_id) == (None, None) and MPI_SIZE in os.environ:
        num_processes, process_id = int(os.environ[MPI_SIZE]), int(os.environ[MPI_RANK])
    given = (coordinator, num_processes, process_id)
    if None in given and given != (None, None, None):
        raise ClusterError(
            "expected --coordinator, --num-processes and --process-id together, or none of them; "
            f"got {coordinator}, {num_processes} and {process_id}"
        )
    if num_processes is not None and not 0 <= (process_id or 0) < num_processes:
        raise ClusterError(
            f"expected --process-id from 0 to --num-processes − 1, {num_processes - 1}; "
            f"got {process_id}"
        )
    try:
        # JAX reads these two options here and nowhere else.
        with temporary_jax_config(
            jax_enable_recoverability=outlive_lost, jax_enable_preemption_service=not outlive_lost
        ):
            jax.distributed.initialize(
                coordinator,
                num_processes,
                process_id,
                heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_S,
                shutdown_timeout_seconds=HEARTBEAT_TIMEOUT_S,
            )
        if outlive_lost:
            # Connects the processes before one can fail: an exchange with a lost process then fails
            # at once, where to connect with it takes minutes to fail.
            wait_for_all_processes("joined")
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the processes of this run did not find each other: {first_line(error)} Under "
            "SLURM, Kubernetes and on TPU pods, --distributed is enough. Under Open MPI, give "
            "--coordinator HOST:PORT (of process 0); elsewhere also --num-processes N and "
            "--process-id K"
        ) from error


def is_main_process() -> bool:
    """Returns whether this process is the one that speaks for all."""
    return jax.process_index() == 0


def own_number() -> int | None:
    """Returns the number of this process, or None if it is alone."""
    return jax.process_index() if jax.process_count() > 1 else None


def wait_for_all_processes(name: str) -> None:
    """Waits until every process is at this place of the program.

    Args:
      name: of the place; the same in all processes.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def raise_in_all_processes(error: Exception | None) -> None:
    """Raises this process's own error, and a `ClusterError` where only others have one.

    All processes must call it at the same place.

    Args:
      error: why this process cannot go on, or None if it can.
    """
    failed = name_failed_processes(error is not None)
    if error is not None:
        raise error
    if failed:
        raise ClusterError(f"{failed} could not begin: its message says why")


def name_failed_processes(has_failed: bool) -> str:
    """Returns which processes have failed, such as "process 0 and process 1", or "" if none.

    All processes must call it at the same place.

    Args:
      has_failed: whether this process has.
    """
    failed = [has_failed]
    if jax.process_count() > 1:
        failed = multihost_utils.process_allgather(np.array(failed)).ravel().tolist()
    return _processes([number for number, failure in enumerate(failed) if failure])


@contextmanager
def fail_together() -> Iterator[None]:
    """Ends a `with` block with an error in all processes if it raises one in some of them.

    All processes must enter it at the same place. It catches what a command expects: the package's
    own errors and those of the system.
    """
    failure: Exception | None = None
    try:
        yield
    except (DigitsJaxError, OSError) as error:
        failure = error
    raise_in_all_processes(failure)


def check_same_in_all_processes(number: int, meaning: str) -> None:
    """Checks that a number is the same in all processes, which must all call this.

    Args:
      number: a whole number.
      meaning: what the number is and why it may differ, for the message.

    Raises:
      ClusterError: it is not.
    """
    if jax.process_count() > 1:
        numbers = multihost_utils.process_allgather(np.array(number)).tolist()
        if len(set(numbers)) > 1:
            raise ClusterError(f"expected {meaning}; got {numbers}, in the order of the processes")


def is_stop_requested(steps: range) -> bool:
    """Returns whether some process has received SIGTERM, and all are to stop after these steps.

    JAX chooses the step after which all stop, and tells it for that step alone: ask for each step
    once, from 0 on, in all processes alike.

    Args:
      steps: the steps since the last call.
    """
    if jax.process_count() == 1:
        return False
    return any(multihost_utils.reached_preemption_sync_point(step) for step in steps)


@contextmanager
def detect_lost_processes() -> Iterator[None]:
    """Turns JAX's error into a `ProcessLost` that names the process, if there are several.

    An exchange of arrays by TCP fails at once. Where none fails, JAX ends this process itself,
    `HEARTBEAT_TIMEOUT_S` after the other's last sign of life. If the other is process 0, the
    coordinator, JAX does so at once, and its message speaks of the leader.
    """
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1 or not _is_failed_exchange(error):
            raise
        lost = _name_lost_processes()
        if not lost:
            raise
        raise ProcessLost(
            f"{lost} did not answer, and this process cannot go on without ({first_line(error)}). "
            "Start all processes again with the same commands"
        ) from error


def _is_failed_exchange(error: BaseException | None) -> bool:
    """Returns whether an error, or one from which it came, may be that of a failed exchange.

    JAX raises a JaxRuntimeError from large programs, also where memory is short, and a plain
    ValueError elsewhere.
    """
    while error is not None:
        if "RESOURCE_EXHAUSTED" in str(error):
            return False
        if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _name_lost_processes() -> str:
    """Calls the roll at the coordinator; returns the processes that do not answer, or "".

    Orbax's barrier is JAX's own, which JAX has no public function for.
    """
    from orbax.checkpoint import multihost  # late, since Orbax takes seconds to import

    try:
        multihost.get_barrier_sync_fn()(key="roll_call", timeout_ms=1000 * ROLL_CALL_TIMEOUT_S)
    except Exception as error:  # JAX and Orbax wrap it in several kinds
        _, _, absent = str(error).partition("timed out task names:\n")
        numbers = re.findall(r"(\d+)$", absent.partition("\n\n")[0], re.MULTILINE)
        return _processes(sorted(map(int, numbers)))
    return ""


def _processes(numbers: list[int]) -> str:
    return " and ".join(f"process {number}" for number in numbers)


def leave_at_once(exit_code: int) -> NoReturn:
    """Ends this process without JAX's farewell, which would wait for the process that was lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
