"""Prints messages, results and progress so that they do not overwrite each other on a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TypeVar

from tqdm import tqdm

LINE_INTERVAL_S = 30.0  # between two lines of progress if standard error is not a terminal

Item = TypeVar("Item")


def log(text: str) -> None:
    """Prints a line to standard error, above the progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def emit(text: str) -> None:
    """Prints a line of a command's result to standard output, above the progress bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def progress(
    items: Iterable[Item], unit: str, total: int, *, hidden: bool = False
) -> Iterator[Item]:
    """Yields items, and shows how many are done unless there is only one.

    Args:
      items: the items to yield.
      unit: the name of an item in the singular, such as "image".
      total: how many items there are.
      hidden: whether to show nothing.
    """
    if total <= 1 or hidden:
        yield from items
        return
    with closing(ProgressBar(total, unit)) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update(done)


class ProgressBar:
    """Shows how much is done on standard error: as a bar on a terminal, otherwise as lines.

    Args:
      total: the number of units of the whole run.
      unit: the name of a unit in the singular, such as "step".
      initial: the number of units that an earlier run has done.
      line_interval_s: seconds between two lines if standard error is not a terminal.
      hidden: whether to show nothing.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        initial: int = 0,
        *,
        line_interval_s: float = LINE_INTERVAL_S,
        hidden: bool = False,
    ):
        self._hidden = hidden
        self._on_terminal = sys.stderr.isatty() and not hidden
        self._bar = tqdm(
            total=total,
            initial=initial,
            unit=unit,
            disable=not self._on_terminal,
            dynamic_ncols=True,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} "
            "[{elapsed}, {remaining} remaining{postfix}]",
        )
        self._total, self._unit, self._initial = total, unit, initial
        self._line_interval_s = line_interval_s
        self._start = self._last_line = time.monotonic()

    def update(self, done: int, text: str = "") -> None:
        """Shows how many units are done, and a text.

        Args:
          done: units done so far, including the initial ones; it must exceed their number.
          text: the state of the run, such as its loss.
        """
        now = time.monotonic()
        if self._on_terminal:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - self._bar.n)
        elif not self._hidden and now - self._last_line >= self._line_interval_s:
            self._last_line = now
            remaining_s = (now - self._start) / (done - self._initial) * (self._total - done)
            parts = [text] if text else []
            parts.append(f"{remaining_s / 60:.1f} min remaining")
            log(f"{self._unit} {done}/{self._total}: {', '.join(parts)}")

    def close(self) -> None:
        """Removes the bar from the terminal's last line, so that other output can follow."""
        self._bar.close()
