"""The range check of arguments, and its message."""

import math

import pytest

from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError, DigitsJaxError


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_numbers_in_the_range_and_its_ends_pass(value: float) -> None:
    check_range("share", value, 0, 1)


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf, -math.inf])
def test_other_numbers_are_refused_with_name_range_unit_and_value(value: float) -> None:
    with pytest.raises(ArgumentError, match=rf"expected share to be 0 to 1 px; got {value:g}$"):
        check_range("share", value, 0, 1, unit="px")


def test_a_range_with_one_limit_is_refused_with_that_limit() -> None:
    with pytest.raises(ArgumentError, match="expected steps to be at least 1; got 0"):
        check_range("steps", 0, 1)
    with pytest.raises(ArgumentError, match="expected share to be at most 1; got 2"):
        check_range("share", 2, high=1)


def test_a_class_of_error_that_is_given_is_raised() -> None:
    class OtherError(ArgumentError):
        pass

    with pytest.raises(OtherError, match="expected share to be at most 1; got 2"):
        check_range("share", 2, high=1, error=OtherError)


def test_argument_error_is_a_digits_jax_error_and_a_value_error() -> None:
    assert issubclass(ArgumentError, DigitsJaxError)
    assert issubclass(ArgumentError, ValueError)
