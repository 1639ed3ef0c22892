"""The network whose searches the page shows."""

import pytest

from digits_jax.models.cnn import Params
from digits_jax.models.weights import load_pretrained


@pytest.fixture(scope="session")
def params() -> Params:
    """The package's own parameters."""
    return load_pretrained()
