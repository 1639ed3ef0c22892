r"""Patterns that a number has to fit, and its best reading that does.

A pattern is a small part of Python's regular expressions: the digits and the signs `- , / :` and
`\.` for themselves, `\d`, sets of digits such as `[0-3]`, groups, `|`, `?`, `*`, `+`, `{n}`,
`{m,n}` and `{m,}`. It becomes an automaton of few states (Thompson, 1968), along which the best
reading is sought place by place (Viterbi, 1967). So the time grows with the product of places and
states, whatever the pattern is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from digits_jax.runtime.errors import ArgumentError

DIGITS = frozenset("0123456789")
SIGNS = "-.,/:"  # what may stand between digits
SPECIAL = ".^$*+?{}[]|()\\"  # characters that do not stand for themselves
MAX_LENGTH, MAX_DEPTH = 500, 20  # characters of a pattern, and groups inside each other
MAX_STATES = 2000  # of the automaton: what repetitions inside each other may unfold to
MIN_PROBABILITY = 1e-30  # bounds the logarithm

SUBSET = (
    r"digits, the signs - , / : and \. , \d, sets of digits such as [0-3], groups ( ), | and the "
    "repetitions ? * + {n} {m,n} {m,}"
)


class Automaton(NamedTuple):
    """What a pattern accepts. State 0 is the first one."""

    edges: list[list[tuple[frozenset[str], int]]]  # of each state: characters, and where they lead
    empty: list[list[int]]  # of each state: where it leads without a character
    end: int

    def closure(self, state: int) -> set[int]:
        """Returns the states that are reached from one without a character, and itself."""
        reached, pending = {state}, [state]
        while pending:
            for target in self.empty[pending.pop()]:
                if target not in reached:
                    reached.add(target)
                    pending.append(target)
        return reached


def parse_pattern(text: str) -> Automaton:
    """Returns the automaton of a pattern.

    Raises:
      ArgumentError: the pattern is not of the part of regular expressions that is understood, or
        its repetitions unfold to too many states.
    """
    if len(text) > MAX_LENGTH:
        raise ArgumentError(
            f"expected a pattern of at most {MAX_LENGTH} characters; got {len(text)}; shorten it"
        )
    return _Parser(text).parse()


def best_reading(
    places: Sequence[Mapping[str, float]], pattern: Automaton
) -> list[tuple[str, float]] | None:
    """Returns the reading of the highest product of probabilities that fits a pattern.

    Args:
      places: for each place the characters that may stand there, with their probabilities.
      pattern: as `parse_pattern` returns it.

    Returns:
      The character of each place and its probability; None if no reading fits.
    """
    best: dict[int, _Path] = dict.fromkeys(pattern.closure(0), _Path(0.0, None))
    closures: dict[int, set[int]] = {}
    for place in places:
        reached: dict[int, _Path] = {}
        for state, path in best.items():
            for characters, target in pattern.edges[state]:
                allowed = [character for character in place if character in characters]
                if not allowed:
                    continue
                choice = max(allowed, key=place.__getitem__)
                total = path.log_product + math.log(max(place[choice], MIN_PROBABILITY))
                if target not in closures:
                    closures[target] = pattern.closure(target)
                for after in closures[target]:
                    if after not in reached or total > reached[after].log_product:
                        reached[after] = _Path(total, _Choice(choice, path.last))
        best = reached
    if pattern.end not in best:
        return None
    reading, last = [], best[pattern.end].last
    while last:
        reading.append(last.character)
        last = last.before
    return [(c, place[c]) for c, place in zip(reversed(reading), places, strict=True)]


class _Choice(NamedTuple):
    """The character chosen for a place, and the choices for the places before it."""

    character: str
    before: "_Choice | None"


class _Path(NamedTuple):
    """The best reading that leads to a state."""

    log_product: float  # of its probabilities
    last: _Choice | None


# A piece of a pattern: characters; or ("and", pieces), ("or", pieces), ("repeat", piece, low, high)
_Piece = frozenset[str] | tuple  # type: ignore[type-arg]


class _Parser:
    """Recursive descent: alternatives, sequences, repetitions, atoms."""

    def __init__(self, text: str):
        self._text, self._at, self._depth = text, 0, 0
        self._automaton = Automaton([], [], 0)

    def parse(self) -> Automaton:
        piece = self._alternatives()
        if self._at < len(self._text):
            raise self._error("an opening bracket before it")
        first = self._new_state()
        return self._automaton._replace(end=self._build(piece, first))

    def _alternatives(self) -> _Piece:
        pieces = [self._sequence()]
        while self._take("|"):
            pieces.append(self._sequence())
        return pieces[0] if len(pieces) == 1 else ("or", pieces)

    def _sequence(self) -> _Piece:
        pieces = []
        while self._next() not in ("", "|", ")"):
            pieces.append(self._repeated())
        return "and", pieces

    def _repeated(self) -> _Piece:
        piece = self._atom()
        if self._take("?"):
            piece = "repeat", piece, 0, 1
        elif self._take("*"):
            piece = "repeat", piece, 0, None
        elif self._take("+"):
            piece = "repeat", piece, 1, None
        elif self._take("{"):
            low = self._number()
            high: int | None = low
            if self._take(","):
                high = None if self._next() == "}" else self._number()
            if not self._take("}"):
                raise self._error("} after a number")
            if high is not None and high < low:
                raise self._error(f"{{m,n}} with m ≤ n; got {{{low},{high}}}")
            piece = "repeat", piece, low, high
        if self._next() and self._next() in "?*+{":
            raise self._error("one repetition; put the first one into a group")
        return piece

    def _atom(self) -> _Piece:
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error(f"at most {MAX_DEPTH} groups inside each other")
            piece = self._alternatives()
            if not self._take(")"):
                raise self._error(") after a group")
            self._depth -= 1
            return piece
        if self._take("["):
            return self._digit_set()
        if self._take("\\"):
            if self._take("d"):
                return DIGITS
            if self._next() and self._next() in SIGNS:
                return frozenset(self._advance())
            raise self._error(r"\d or \.")
        following = self._next()
        if following in DIGITS or (following in SIGNS and following not in SPECIAL):
            return frozenset(self._advance())
        raise self._error(r"\. for a point" if following == "." else SUBSET)

    def _digit_set(self) -> frozenset[str]:
        found: set[str] = set()
        while not self._take("]"):
            if self._next() not in DIGITS:
                raise self._error("digits and ranges of digits in [ ]")
            low = high = self._advance()
            if self._take("-"):
                if self._next() not in DIGITS or self._next() < low:
                    raise self._error(f"a digit from {low} on after {low}-")
                high = self._advance()
            found |= {c for c in DIGITS if low <= c <= high}
        if not found:
            raise self._error("at least one digit in [ ]")
        return frozenset(found)

    def _number(self) -> int:
        begin = self._at
        while self._next() in DIGITS:
            self._at += 1
        digits = self._text[begin : self._at]
        if not 0 < len(digits) <= 4:
            raise self._error("a number of at most four digits after {")
        return int(digits)

    def _build(self, piece: _Piece, start: int) -> int:
        """Adds the states of a piece after a state; returns the state at its end."""
        edges, empty, _ = self._automaton
        if isinstance(piece, frozenset):
            end = self._new_state()
            edges[start].append((piece, end))
            return end
        kind, inner = piece[:2]
        if kind == "and":
            end = self._new_state()  # even of no pieces, so that repetitions of nothing end
            empty[start].append(end)
            for part in inner:
                end = self._build(part, end)
            return end
        if kind == "or":
            end = self._new_state()
            for part in inner:
                first = self._new_state()
                empty[start].append(first)
                empty[self._build(part, first)].append(end)
            return end
        low, high = piece[2:]
        for _ in range(low):
            start = self._build(inner, start)
        end = self._new_state()
        if high is None:
            first = self._new_state()
            empty[start].append(first)
            empty[first].append(end)
            empty[self._build(inner, first)].append(first)
            return end
        empty[start].append(end)
        for _ in range(high - low):
            start = self._build(inner, start)
            empty[start].append(end)
        return end

    def _new_state(self) -> int:
        edges, empty, _ = self._automaton
        if len(edges) >= MAX_STATES:
            raise ArgumentError(
                f"expected a pattern whose repetitions unfold to at most {MAX_STATES} states; got "
                f"more in {self._text}; repeat less"
            )
        edges.append([])
        empty.append([])
        return len(edges) - 1

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _advance(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, character: str) -> bool:
        if self._next() != character:
            return False
        self._at += 1
        return True

    def _error(self, expected: str) -> ArgumentError:
        found = repr(self._next()) if self._next() else "its end"
        return ArgumentError(
            f"pattern {self._text}: expected {expected}; got {found} at character {self._at + 1}"
        )
