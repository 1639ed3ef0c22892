"""The mesh of devices over which a batch is sharded."""

from collections.abc import Sequence

import jax
from jax.sharding import Mesh

from digits_jax.runtime.errors import ArgumentError


def data_mesh(batch_size: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Returns a mesh with one axis, `data`, over as many devices as divide a batch evenly.

    Args:
      batch_size: the number of examples in the batch, at least 1.
      devices: those to choose from, such as the ones of this process; None for all of all
        processes.

    Raises:
      ArgumentError: there are several processes, and some of their devices would have no part.
    """
    available = jax.devices() if devices is None else devices
    count = max(n for n in range(1, len(available) + 1) if batch_size % n == 0)
    if devices is None and jax.process_count() > 1 and count < len(available):
        raise ArgumentError(
            f"expected a batch size that the {len(available)} devices of {jax.process_count()} "
            f"processes share evenly; got {batch_size}"
        )
    return Mesh(available[:count], ("data",))
