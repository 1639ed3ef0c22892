"""What a person sees while a command goes on."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines where there is no terminal to draw a bar on

Item = TypeVar("Item")


def log(text: str) -> None:
    """Prints a line to standard error, above a progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def emit(text: str) -> None:
    """Prints a line of a command's result to standard output, without spoiling a progress bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def progress(items: Iterable[Item], unit: str, total: int) -> Iterator[Item]:
    """Yields the items, and shows how many of the total are done unless there is only one.

    On a terminal that is a bar, elsewhere a plain line now and then.
    """
    live = total > 1 and sys.stderr.isatty()
    last_line = time.monotonic()
    bar = tqdm(items, unit=unit, total=total, disable=not live, dynamic_ncols=True)
    for done, item in enumerate(bar):
        now = time.monotonic()
        if not live and now - last_line >= LINE_SECONDS:
            last_line = now
            log(f"{unit} {done}/{total}")
        yield item


class ProgressBar:
    """Of a training run: a bar on a terminal; elsewhere a plain line now and then."""

    def __init__(self, total: int, step: int):
        self._live = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=step,
            unit="step",
            disable=not self._live,
            dynamic_ncols=True,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left{postfix}]",
        )
        self._total, self._first, self._begun = total, step, time.monotonic()
        self._last_line = self._begun

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        text = f"loss {loss:.4f}, accuracy {accuracy:.4f}, {images_per_second:,.0f} images/s"
        now = time.monotonic()
        if self._live:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
        elif now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            left = (now - self._begun) / (step - self._first) * (self._total - step)
            log(f"step {step}/{self._total}: {text}, {left / 60:.1f} min left")

    def close(self) -> None:
        self._bar.close()
