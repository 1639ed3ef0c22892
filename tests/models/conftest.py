"""Images that several tests of the models share."""

import jax
import jax.numpy as jnp
import pytest


@pytest.fixture
def four_images() -> jax.Array:
    """Four images with enough black around them for any scale of at least a half."""
    images = jax.random.uniform(jax.random.key(0), (4, 45, 56, 1))
    return jnp.pad(images, [(0, 0), (5, 5), (5, 5), (0, 0)])
