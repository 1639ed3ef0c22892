"""The options of `digits-jax detect` that ask for numbers.

The comment above a field is its text in `--help`.
"""

import dataclasses
from typing import Annotated

import tyro

from digits_jax.detect.number_patterns import Automaton, parse_pattern
from digits_jax.detect.output_formats import Format
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

MAX_NUMBER_DIGITS = 1000


@dataclasses.dataclass(frozen=True)
class FormOptions:
    """What is asked of numbers."""

    # Choose the digits of each number from their ten probabilities so that it fits this pattern. It
    # may hold digits and the signs - , / : and \. for themselves, \d, sets such as [0-3], groups, |
    # and the repetitions ? * + {n} {m,n}. A number that cannot fit has "text": null. Needs --read.
    pattern: Annotated[
        str | None, tyro.conf.arg(metavar="PATTERN", help_behavior_hint="(default: any number)")
    ] = None
    # Short for a pattern of so many digits and nothing else.
    digits: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: any)")
    ] = None

    def check(self, *, read: bool, format: Format, method: str) -> None:
        r"""Checks that the options can be combined with the others, before any work.

        Args:
          read: whether numbers are asked for.
          format: the output format.
          method: that of the search.

        Raises:
          ArgumentError: they cannot, or one is not as described.
        """
        if self.pattern is not None and self.digits is not None:
            raise ArgumentError(
                "expected --pattern or --digits; got both; add the number of digits to the "
                rf"pattern, such as \d{{{self.digits}}}"
            )
        name = "--digits" if self.pattern is None else "--pattern"
        if self.digits is not None:
            check_range("--digits", self.digits, 1, MAX_NUMBER_DIGITS)
        if self.pattern is None and self.digits is None:
            return
        if format != "jsonl":
            raise ArgumentError(
                f"expected --format jsonl with {name}; got {format}, which cannot hold numbers; "
                "leave one of the options out"
            )
        if not read:
            raise ArgumentError(f"expected --read with {name}; got none; add --read")
        if method == "windows":
            raise ArgumentError(
                f"expected --method components with {name}; got windows, which keeps no "
                "probabilities of digits to choose from; leave one of the options out"
            )
        self.number_pattern()

    def number_pattern(self) -> Automaton | None:
        """Returns the pattern that numbers have to fit, or None.

        Raises:
          ArgumentError: the pattern is not of the kind that is described.
        """
        if self.pattern is not None:
            return parse_pattern(self.pattern)
        return None if self.digits is None else parse_pattern(rf"\d{{{self.digits}}}")
