"""The options of `digits-jax detect` that ask for numbers, for forms and for turned pages.

The comment above a field is its text in `--help`.
"""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal

import tyro

from digits_jax.detect.number_patterns import Automaton, parse_pattern
from digits_jax.detect.output_formats import Format
from digits_jax.detect.page_answers import GridSize, Questions
from digits_jax.detect.regions import read_regions
from digits_jax.detect.rotation import TURNS
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

MAX_NUMBER_DIGITS = 1000
MAX_GRID_SIDE = 1000  # rows or columns


@dataclasses.dataclass(frozen=True)
class FormOptions:
    """What is asked of numbers and forms, and how pages are turned."""

    # Choose the digits of each number from their ten probabilities so that it fits this pattern. It
    # may hold digits and the signs - , / : and \. for themselves, \d, sets such as [0-3], groups, |
    # and the repetitions ? * + {n} {m,n}. A number that cannot fit has "text": null. Give one of
    # the options --read, --regions and --grid, too.
    pattern: Annotated[
        str | None, tyro.conf.arg(metavar="PATTERN", help_behavior_hint="(default: any number)")
    ] = None
    # Short for a pattern of so many digits and nothing else.
    digits: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: any)")
    ] = None

    # JSON file of named boxes, such as {"unit": "px", "date": [x0, y0, x1, y1]}, or with "unit":
    # "share" in shares of the page, 0 to 1. Adds "regions", what is read in each, to the JSON
    # object of each page. With --rotate, boxes in this file are those of the turned page.
    regions: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    # Add "grid" to each JSON object: what is read in each cell of the form on the page, a comb of
    # boxes, a table or a sudoku. Give rows x columns, such as 9x9, or `auto` for any number.
    grid: Annotated[
        str | None, tyro.conf.arg(metavar="{ROWSxCOLUMNS,auto}", help_behavior_hint="(default: no)")
    ] = None
    # Turn each page clockwise by so many degrees before it is searched. `auto` searches it in all
    # four turns, which takes four times as long, and keeps the one that reads best. Boxes and
    # annotated pictures are those of the page as given; "rotation" tells the turn.
    rotate: Literal["0", "90", "180", "270", "auto"] = "0"

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns in which pages are searched, clockwise, degrees."""
        return TURNS if self.rotate == "auto" else (int(self.rotate),)

    def check(self, *, read: bool, format: Format, method: str) -> None:
        r"""Checks that the options can be combined with the others, before any work.

        Args:
          read: whether numbers are asked for.
          format: the output format.
          method: that of the search.

        Raises:
          ArgumentError: they cannot.
        """
        given = {
            "--pattern": self.pattern,
            "--digits": self.digits,
            "--regions": self.regions,
            "--grid": self.grid,
        }
        names = [name for name, value in given.items() if value is not None]
        if not names:
            return
        if format != "jsonl":
            raise ArgumentError(
                f"expected --format jsonl with {names[0]}; got {format}, which cannot hold its "
                "answers; leave one of the options out"
            )
        if self.pattern is not None and self.digits is not None:
            raise ArgumentError(
                "expected --pattern or --digits; got both; add the number of digits to the "
                rf"pattern, such as \d{{{self.digits}}}"
            )
        if names[0] not in ("--pattern", "--digits"):
            return
        if not (read or self.regions or self.grid):
            raise ArgumentError(
                f"expected --read, --regions or --grid with {names[0]}; got none; add --read"
            )
        if method == "windows":
            raise ArgumentError(
                f"expected --method components with {names[0]}; got windows, which keeps no "
                "probabilities of digits to choose from; leave one of the options out"
            )

    def questions(self, *, read: bool) -> Questions:
        """Returns what is asked of each page; reads the file of regions.

        Args:
          read: whether the numbers of the page are asked for.

        Raises:
          ArgumentError: an option is not as described, or the file cannot be read.
        """
        regions = None if self.regions is None else read_regions(self.regions)
        return Questions(read, self._pattern(), regions, self._grid())

    def _pattern(self) -> Automaton | None:
        if self.pattern is not None:
            return parse_pattern(self.pattern)
        if self.digits is None:
            return None
        check_range("--digits", self.digits, 1, MAX_NUMBER_DIGITS)
        return parse_pattern(rf"\d{{{self.digits}}}")

    def _grid(self) -> GridSize | None:
        if self.grid is None:
            return None
        if self.grid == "auto":
            return GridSize()
        if not re.fullmatch(r"[0-9]{1,9}x[0-9]{1,9}", self.grid):
            raise ArgumentError(
                "expected --grid auto, or rows x columns such as --grid 9x9; got "
                f"{self.grid[:60] or 'nothing'}"
            )
        rows, columns = map(int, self.grid.split("x"))
        check_range("the rows of --grid", rows, 1, MAX_GRID_SIDE)
        check_range("the columns of --grid", columns, 1, MAX_GRID_SIDE)
        return GridSize(rows, columns)
