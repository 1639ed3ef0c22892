"""Several processes that train one network, on one host or many, by `jax.distributed`.

Every process runs the same program on the devices of all of them (SPMD). Only the main process
writes files and messages; checkpoints are written by all.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import jax
from jax.experimental import multihost_utils

from digits_jax.runtime.errors import DigitsJaxError

START_TIMEOUT_S = 300  # that a process waits for the others
# After that many seconds without a sign of life, a process counts as lost, and the others stop.
HEARTBEAT_TIMEOUT_S = 20
MPI_SIZE, MPI_RANK = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"
ROLL_CALL_TIMEOUT_S = 10  # in which the processes that are left answer


class ClusterError(DigitsJaxError):
    """The processes of a distributed run did not find each other."""


class ProcessLost(DigitsJaxError):
    """Another process of a distributed run has stopped, so that this one cannot go on."""


def join_processes(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    start_timeout_s: int = START_TIMEOUT_S,
) -> None:
    """Joins the processes of a distributed run; call it before JAX does anything else.

    Under SLURM, Kubernetes and on TPU pods, JAX finds the arguments by itself. Open MPI tells the
    numbers, and up to version 4 the coordinator.

    Args:
      coordinator: host and port of process 0, such as "10.0.0.1:1234", to which all connect.
      num_processes: the number of processes; by default Open MPI's.
      process_id: the number of this process, 0 to `num_processes` − 1; by default Open MPI's.
      start_timeout_s: seconds to wait for the other processes.

    Raises:
      ClusterError: some of the three arguments are given and others are not; no cluster is found;
        or not all processes came in time.
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
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=start_timeout_s,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_S,
            shutdown_timeout_seconds=HEARTBEAT_TIMEOUT_S,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise ClusterError(
            f"the processes of this run did not find each other: {reason}. Under SLURM, "
            "Kubernetes and on TPU pods, --distributed is enough. Under Open MPI, give "
            "--coordinator HOST:PORT (of process 0); elsewhere also --num-processes N and "
            "--process-id K"
        ) from error


def is_main_process() -> bool:
    """Returns whether this process is the one that writes files and messages."""
    return jax.process_index() == 0


def wait_for_all_processes(name: str) -> None:
    """Waits until every process is at this place of the program.

    Args:
      name: of the place; the same in all processes.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def is_stop_requested(step: int) -> bool:
    """Returns whether some process has received SIGTERM, and all are to stop after this step.

    All processes must call it after every step, or after the same steps.
    """
    return jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step)


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
        raise ProcessLost(
            f"{_name_lost_processes()} stopped, and this process cannot go on without. Start all "
            "processes again with the same commands: they continue from the last checkpoint"
        ) from error


def _is_failed_exchange(error: BaseException | None) -> bool:
    """Returns whether an error, or one from which it came, is that of a failed exchange.

    JAX raises a JaxRuntimeError from compiled programs, also where memory is short, and a plain
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
    """Calls the roll at the coordinator, whose error names the processes that do not answer.

    Orbax's barrier is JAX's own, which JAX has no public function for.
    """
    from orbax.checkpoint import multihost  # late, since Orbax takes seconds to import

    try:
        multihost.get_barrier_sync_fn()(key="roll_call", timeout_ms=1000 * ROLL_CALL_TIMEOUT_S)
    except Exception as error:  # JAX and Orbax wrap it in several kinds
        _, _, absent = str(error).partition("timed out task names:\n")
        numbers = re.findall(r"(\d+)$", absent.partition("\n\n")[0], re.MULTILINE)
        if numbers:
            return " and ".join(f"process {number}" for number in sorted(numbers, key=int))
    return "another process"


def leave_at_once(exit_code: int) -> NoReturn:
    """Ends this process without JAX's farewell, which would wait for the process that was lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
