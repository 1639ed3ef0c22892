"""Patterns of numbers, against Python's own regular expressions and against all readings."""

import itertools
import re
import time
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits_jax.detect.number_patterns import best_reading, parse_pattern
from digits_jax.runtime.errors import ArgumentError

ATOMS = st.sampled_from([r"\d", "[0-3]", "[159]", "7", "/", r"\.", ",", "-", ":"])


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repetitions = st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{2,}", "{0}"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, repetitions).map(lambda pair: f"({pair[0]}){pair[1]}"),
    )


PATTERNS = st.recursive(ATOMS, _extend, max_leaves=6)


def fits(text: str, pattern: str) -> bool:
    return best_reading([{c: 1.0} for c in text], parse_pattern(pattern)) is not None


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.text("0159/.,-:7", max_size=6))
def test_a_pattern_accepts_what_python_s_regular_expressions_accept(
    pattern: str, text: str
) -> None:
    assert fits(text, pattern) == bool(re.fullmatch(pattern, text))


@settings(max_examples=100, deadline=None)
@given(PATTERNS, st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_the_best_reading_is_that_of_all_readings(pattern: str, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(10, 0.3), count)
    places = [{str(k): float(p) for k, p in enumerate(row)} for row in rows]
    every = ("".join(digits) for digits in itertools.product("0123456789", repeat=count))
    products = {
        text: prod(place[c] for c, place in zip(text, places, strict=True))
        for text in every
        if re.fullmatch(pattern, text)
    }
    found = best_reading(places, parse_pattern(pattern))
    if not products:
        assert found is None
        return
    assert found is not None
    assert prod(p for _, p in found) == pytest.approx(max(products.values()), rel=1e-6, abs=1e-9)
    assert re.fullmatch(pattern, "".join(c for c, _ in found))


def test_the_reading_is_chosen_from_the_ten_probabilities_of_each_place() -> None:
    """A 7 of 0.6 becomes the 1 of 0.3 where no month begins with a 7."""
    first = {"7": 0.6, "1": 0.3, "0": 0.1}
    places = [first, {"2": 0.9, "5": 0.1}]
    found = best_reading(places, parse_pattern("0[1-9]|1[0-2]"))
    assert found == [("1", 0.3), ("2", 0.9)]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (".", r"expected \. for a point; got '.' at character 1"),
        ("a", "expected digits, the signs"),
        (r"\w", r"expected \d or \.; got 'w' at character 2"),
        ("(1", "expected ) after a group; got its end"),
        ("1)", "expected an opening bracket before it; got ')' at character 2"),
        ("[a]", "digits and ranges of digits in [ ]"),
        ("[]", "at least one digit in [ ]"),
        ("[5-2]", "a digit from 5 on"),
        ("1{", "a number of at most four digits after {"),
        ("1{2", "} after a number"),
        ("1{3,2}", "m ≤ n; got {3,2}"),
        ("1??", "one repetition"),
        ("*", "expected digits"),
        ("1" * 501, "at most 500 characters; got 501"),
        ("(" * 30, "at most 20 groups"),
        (r"(\d{999}){999}", "at most 2000 states"),
        ("(((){999}){999}){999}", "at most 2000 states"),
    ],
)
def test_other_patterns_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        parse_pattern(pattern)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 700


def test_no_pattern_takes_long() -> None:
    """Python's own matcher needs time that doubles with each place for such patterns."""
    places = [{"1": 0.5, "7": 0.5}] * 200
    begin = time.perf_counter()
    for pattern in ["((1|7)*)*0", "(1?){200}1{200}", r"(\d+)+:"]:
        best_reading(places, parse_pattern(pattern))
    assert time.perf_counter() - begin < 20
