"""How much arithmetic a program asks for, and how much of it the hardware can do."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

Atom = Var | Literal


def count_flops(program: Callable[..., Any], *arguments: Any) -> int:
    """The floating-point operations of a program's products, two to a multiply-add.

    Counted in the program as traced, before XLA sees it: every matrix product and convolution, as
    often as its loop runs; of a condition's branches the most expensive. Additions, maxima and the
    like are left out: where products dominate, they are what the hardware's rate is compared to.

    Raises:
      ValueError: a product is in a loop whose length is known only when it runs.
    """
    return _of_jaxpr(jax.make_jaxpr(program)(*arguments).jaxpr)


def _of_jaxpr(jaxpr: Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return 2 * _size(equation) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        return 2 * _size(equation) * math.prod(kernel) // outputs
    inner = [_of_jaxpr(jaxpr) for jaxpr in _jaxprs(params)]
    if name == "scan":
        return sum(inner) * int(params["length"])
    if name == "while" and sum(inner) > 0:
        raise ValueError("cannot count a product in a loop of a length that only the run decides")
    if name == "cond":
        return max(inner)
    if name == "shard_map":  # as many devices do the same to their parts
        return sum(inner) * int(params["mesh"].size)
    if name == "custom_vjp_call":  # the function, not its derivatives
        return inner[0]
    return sum(inner)


def _size(equation: JaxprEqn) -> int:
    return math.prod(_shape(equation.outvars[0]))


def _shape(variable: Atom) -> tuple[int, ...]:
    shape: tuple[int, ...] = variable.aval.shape  # type: ignore[attr-defined]
    return shape


def _jaxprs(params: dict[str, Any]) -> list[Jaxpr]:
    found = []
    for value in params.values():
        for one in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(one, ClosedJaxpr):
                found.append(one.jaxpr)
            elif isinstance(one, Jaxpr):
                found.append(one)
    return found
