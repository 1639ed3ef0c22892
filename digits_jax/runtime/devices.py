"""The devices that share a batch."""

import jax
from jax.sharding import Mesh


def data_mesh(batch_size: int) -> Mesh:
    """A mesh with one axis, `data`, over the most devices that share the batch evenly."""
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return Mesh(devices[:count], ("data",))
