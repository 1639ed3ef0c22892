"""The range check of numeric arguments, with one form of message."""

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
    """Raises an error if a number is below `low`, above `high`, infinite or NaN.

    Args:
      name: the argument's name, as the caller knows it.
      value: the number to check.
      low: the smallest allowed number.
      high: the largest allowed number.
      unit: the unit of the number, such as "px", for the message.
      error: the class to raise.

    Raises:
      ArgumentError: the number is not allowed.
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
