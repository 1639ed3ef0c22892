"""The configuration, mesh and data that several tests of training share."""

import dataclasses

import jax
from jax.sharding import Mesh

from digits_jax.train.named_configs import CONFIGS

# By plain gradient descent, since Adam amplifies rounding.
SGD = dataclasses.replace(
    CONFIGS["paper"], batch_size=16, optimizer="sgd", learning_rate=0.1, steps=100
)


def mesh_of(devices: int) -> Mesh:
    """Returns a mesh of the first devices."""
    return Mesh(jax.devices()[:devices], ("data",))
