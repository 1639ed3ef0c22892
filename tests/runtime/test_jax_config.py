"""Temporary options of JAX."""

import jax
import pytest

from digits_jax.runtime.jax_config import temporary_jax_config

LIMIT = "jax_traceback_in_locations_limit"


def _fail() -> None:
    raise KeyError


def test_an_option_is_restored_after_the_block_and_after_an_error() -> None:
    before = jax.config.values[LIMIT]
    with temporary_jax_config(**{LIMIT: before + 1}):
        assert jax.config.values[LIMIT] == before + 1
    assert jax.config.values[LIMIT] == before
    with pytest.raises(KeyError), temporary_jax_config(**{LIMIT: before + 1}):
        _fail()
    assert jax.config.values[LIMIT] == before
