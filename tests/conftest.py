"""Strict settings of JAX for every test, and fixtures that several rooms share."""

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
    """Turns off the checks of annotations, so that a function checks its arguments itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def optax_promotion() -> Iterator[None]:
    """Allows Optax's Adam, whose own arithmetic mixes weak and strong types."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of untrained weights."""
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    weights.save_weights(path, digits_jax.init(jax.random.key(0)), {})
    return path


@pytest.fixture
def pretrained(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts untrained weights in place of the package's."""
    monkeypatch.setattr(weights, "PRETRAINED", str(untrained))


@pytest.fixture
def fake_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes commands detect the same digit in any image."""
    monkeypatch.setattr(Detector, "detect_each", fake_detect_each(one_digit()))
