"""The mesh of devices over which a batch is sharded."""

import jax
from jax.sharding import Mesh


def data_mesh(batch_size: int) -> Mesh:
    """Returns a mesh with one axis, `data`, over as many devices as divide a batch evenly.

    Args:
      batch_size: the number of examples in the batch, at least 1.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return Mesh(devices[:count], ("data",))
