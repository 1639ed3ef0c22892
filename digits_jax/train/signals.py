"""Signals that ask a run to stop: SIGINT (Ctrl-C) and SIGTERM."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax

from digits_jax.runtime.errors import DigitsJaxError


class Interrupted(DigitsJaxError):
    """A signal asked the run to stop, and the run has saved its state."""

    def __init__(self, signum: int, step: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} after step {step}; saved")
        self.signum = signum


@contextmanager
def collect_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list, so that the run can save before it stops.

    Outside the main thread the list stays empty, because Python lets only the main thread handle
    signals. It also stays empty if there are several processes: JAX takes their SIGTERM, to which
    SIGINT is turned here, and `is_stop_requested` tells it to all of them.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        received.append(signum)

    def turn_to_sigterm(signum: int, frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    if jax.process_count() > 1:
        handlers = {signal.SIGINT: turn_to_sigterm}
    else:
        handlers = {signal.SIGINT: handle, signal.SIGTERM: handle}
    previous = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
