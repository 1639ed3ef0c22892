"""Temporary changes of JAX's configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def temporary_jax_config(**options: Any) -> Iterator[None]:
    """Sets options of JAX for a `with` block, and restores their values after it.

    The configuration belongs to the whole process, so do not use this in several threads at once.

    Args:
      options: names and values, as for `jax.config.update`.
    """
    previous = {name: getattr(jax.config, name) for name in options}
    try:
        _update(options)
        yield
    finally:
        _update(previous)


def _update(options: dict[str, Any]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
