"""Counts the floating-point operations of a program's matrix products and convolutions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from digits_jax.runtime.errors import ArgumentError

Atom = Var | Literal


def count_flops(program: Callable[..., Any], *arguments: Any) -> int:
    """Counts the floating-point operations of a program's matrix products and convolutions.

    A multiply-add counts as two operations. The count is of the program as JAX traces it, before
    XLA optimises it. The body of a loop counts as often as the loop runs. The most expensive branch
    of a condition counts. Additions, maxima and other elementwise operations do not count,
    since the rate of a large matrix product, to which the count is compared, has none of them.

    Args:
      program: a function that JAX can trace.
      arguments: the arguments of one call; only their shapes and dtypes matter.

    Returns:
      The number of operations of one call, over all devices.

    Raises:
      ArgumentError: a product is in a loop whose length is only known when the program runs.
    """
    return _jaxpr_flops(jax.make_jaxpr(program)(*arguments).jaxpr)


def _jaxpr_flops(jaxpr: Jaxpr) -> int:
    return sum(_equation_flops(equation) for equation in jaxpr.eqns)


def _equation_flops(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        lhs = _shape(equation.invars[0])
        return 2 * _output_size(equation) * math.prod(lhs[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        output_channels = kernel[params["dimension_numbers"].rhs_spec[0]]
        return 2 * _output_size(equation) * math.prod(kernel) // output_channels
    inner = [_jaxpr_flops(jaxpr) for jaxpr in _inner_jaxprs(params)]
    if name == "scan":
        return sum(inner) * int(params["length"])
    if name == "while" and sum(inner) > 0:
        raise ArgumentError(
            "expected loops with products to have a fixed length; got one whose length only the "
            "run decides; count the body of the loop by itself"
        )
    if name == "cond":
        return max(inner)
    if name == "shard_map":  # the body is one device's part
        return sum(inner) * int(params["mesh"].size)
    if name == "custom_vjp_call":  # the first is the function, the others its derivatives
        return inner[0]
    return sum(inner)


def _output_size(equation: JaxprEqn) -> int:
    return math.prod(_shape(equation.outvars[0]))


def _shape(variable: Atom) -> tuple[int, ...]:
    shape: tuple[int, ...] = variable.aval.shape  # type: ignore[attr-defined]
    return shape


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item
