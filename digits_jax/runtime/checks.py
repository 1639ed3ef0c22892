"""Checks of arguments, with one wording for all of them."""

import math

from digits_jax.runtime.errors import ArgumentError


def check_range(
    name: str,
    value: int | float,
    low: int | float = -math.inf,
    high: int | float = math.inf,
    *,
    unit: str = "",
    error: type[ArgumentError] = ArgumentError,
) -> None:
    """Refuses a number that is not in `low` … `high`, ends included, or that is not finite.

    Args:
      name: of the argument, as its caller knows it.
      value: the number to check.
      low: the smallest allowed number.
      high: the largest allowed number.
      unit: what the number counts, such as "px"; it is only printed.
      error: the class to raise.

    Raises:
      ArgumentError: the number is outside the range, infinite or NaN.
    """
    if math.isfinite(value) and low <= value <= high:
        return
    if high == math.inf:
        allowed = f"at least {low:g}"
    elif low == -math.inf:
        allowed = f"at most {high:g}"
    else:
        allowed = f"{low:g} to {high:g}"
    raise error(f"expected {name} to be {allowed}{f' {unit}' if unit else ''}; got {value:g}")
