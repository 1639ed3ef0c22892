"""The mesh of devices over which a batch is sharded."""

import jax
from jax.sharding import Mesh

from digits_jax.runtime.errors import ArgumentError


def data_mesh(batch_size: int) -> Mesh:
    """Returns a mesh with one axis, `data`, over as many devices as divide a batch evenly.

    Args:
      batch_size: the number of examples in the batch, at least 1.

    Raises:
      ArgumentError: there are several processes, and some of their devices would have no part.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    if jax.process_count() > 1 and count < len(devices):
        raise ArgumentError(
            f"expected a batch size that the {len(devices)} devices of {jax.process_count()} "
            f"processes share evenly; got {batch_size}"
        )
    return Mesh(devices[:count], ("data",))
