"""Signals that ask a run to stop: SIGINT (Ctrl-C) and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
    signals.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        received.append(signum)

    previous = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
