"""Strict settings for every test: they hold for the package, not only where a test looks."""

import os

# Before JAX starts: four devices to shard over, and a GPU, if any, left alone.
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"

from collections.abc import Iterator
from pathlib import Path

import jax
import jaxtyping
import pytest
from command_line import fake_detect_each, one_digit

import digits_jax
from digits_jax.data.mnist import Mnist, load_mnist
from digits_jax.detect.detector import Detector
from digits_jax.models import weights

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    """The real MNIST."""
    return load_mnist()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the checks of annotations, so that a function's own refusals are seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def optax_promotion() -> Iterator[None]:
    """For tests that run Adam: Optax's own arithmetic mixes weak and strong types."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights that is there without any training."""
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    weights.save_weights(path, digits_jax.init(jax.random.key(0)), {})
    return path


@pytest.fixture
def pretrained(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained weights in place of the package's."""
    monkeypatch.setattr(weights, "PRETRAINED", str(untrained))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes commands detect the same digit in any image."""
    monkeypatch.setattr(Detector, "detect_each", fake_detect_each(one_digit()))
