"""Fixtures of the tests of training."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from training_runs import run_to_end
from windows import COUNT

from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.images.pixels import uint8_to_float


@pytest.fixture(scope="session")
def train_digits(mnist: Mnist) -> Dataset:
    """The real training digits as JAX arrays."""
    return Dataset(jnp.asarray(mnist.train.images), jnp.asarray(mnist.train.labels))


@pytest.fixture(scope="session")
def digits(mnist: Mnist) -> np.ndarray:
    """The first training digits, `[COUNT, 28, 28]` float32 in 0–1."""
    return uint8_to_float(np.asarray(mnist.train.images[:COUNT]))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One device, and compiled programs that the many processes of these tests share."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    return {
        **{name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """The work folder of a short run that nothing stopped."""
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    run_to_end(workdir, environment)
    return workdir
