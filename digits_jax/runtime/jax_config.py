"""JAX's options, set for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def temporary_jax_config(**values: Any) -> Iterator[None]:
    """JAX's configuration with these values; what it had before comes back.

    It is the whole process's: not for several threads at once.
    """
    before = {name: getattr(jax.config, name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
