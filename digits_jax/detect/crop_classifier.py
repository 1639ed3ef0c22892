"""Classification of crops of 28×28 px, any number of them, by programs of few static shapes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Int64

from digits_jax.detect.border_contact import border_contact
from digits_jax.detect.steps import BorderContactConfig
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES, Params, classify
from digits_jax.models.mixed_precision import compute_dtype_for
from digits_jax.runtime.devices import data_mesh

# Crops are classified in blocks of these sizes, so that few programs are compiled. Several devices
# share each block, so that sizes which they cannot share evenly are left out.
CPU_BLOCKS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
ACCELERATOR_BLOCKS = (64, 512, 4096)


class Readings(NamedTuple):
    """What the network says of crops."""

    probabilities: Float32[np.ndarray, "n 10"]
    contacts: Float32[np.ndarray, " n"]  # as `border_contact` returns them

    @property
    def labels(self) -> Int64[np.ndarray, " n"]:
        """The most probable class of each crop, 0–9."""
        return self.probabilities.argmax(axis=1)

    @property
    def margins(self) -> Float32[np.ndarray, " n"]:
        """The largest probability less the second, 0–1 (section 2.4)."""
        best = np.partition(self.probabilities, -2, axis=1)
        return best[:, -1] - best[:, -2]

    def rows(self, selected: slice) -> "Readings":
        """Returns some of the readings."""
        return Readings(*(array[selected] for array in self))


Crops = Float32[np.ndarray, "_ 28 28"]  # 0–1, ink bright
Classify = Callable[[Sequence[Crops]], Readings]


@partial(jax.jit, static_argnames=("contact", "precision", "mesh"))
def classify_block(
    params: Params,
    crops: Float[Array, "n 28 28"],
    *,
    contact: BorderContactConfig,
    precision: lax.Precision = lax.Precision.HIGHEST,
    mesh: Mesh | None = None,
) -> tuple[Float[Array, "n 10"], Float[Array, " n"]]:
    """Returns the class probabilities and the border contact of each crop.

    Args:
      params: as `init` or `load_checkpoint` return them.
      crops: `[n, 28, 28]` float32 in 0–1, ink bright.
      contact: the constants of `border_contact`.
      precision: that of the matrix products.
      mesh: from `crop_mesh`: the devices that share the crops; None for one device.
    """

    def classify_part(
        params: Params, crops: Float[Array, "n 28 28"]
    ) -> tuple[Float[Array, "n 10"], Float[Array, " n"]]:
        with jax.default_matmul_precision(precision.name.lower()):
            logits = classify(params, crops[..., None], compute_dtype=compute_dtype_for(precision))
        return jax.nn.softmax(logits), border_contact(crops, contact)

    if mesh is None:
        return classify_part(params, crops)
    specs = (P(), P("data"))
    classify_parts = jax.shard_map(
        classify_part, mesh=mesh, in_specs=specs, out_specs=P("data"), check_vma=False
    )
    return classify_parts(params, crops)


def crop_mesh(max_devices: int | None = None) -> Mesh | None:
    """Returns the devices of this process over which each block of crops is spread; None if one.

    Args:
      max_devices: the most devices; None for all.
    """
    mesh = data_mesh(_block_sizes()[-1], jax.local_devices()[:max_devices])
    return mesh if mesh.size > 1 else None


def crop_classifier(
    params: Params, program: Callable[..., Any], mesh: Mesh | None = None
) -> Classify:
    """Returns a function that classifies lists of arrays of crops as one.

    Args:
      params: as `init` or `load_checkpoint` return them; replicated on the mesh, if there is one.
      program: `classify_block` with its static arguments.
      mesh: the program's.
    """
    sharding = NamedSharding(mesh, P("data")) if mesh else None
    blocks = [size for size in _block_sizes() if not mesh or size % mesh.size == 0]

    def read(crops: Sequence[Crops]) -> Readings:
        count = sum(len(array) for array in crops)
        empty = np.zeros((0, INPUT_SIDE, INPUT_SIDE), np.float32)
        together = np.concatenate([empty, *crops])
        started, begin = [], 0
        while begin < count:
            block = next((size for size in blocks if size >= count - begin), blocks[-1])
            padded: Any = np.zeros((block, INPUT_SIDE, INPUT_SIDE), np.float32)
            part = together[begin : begin + block]
            padded[: len(part)] = part
            if sharding:
                padded = jax.device_put(padded, sharding)
            started.append(program(params, padded))
            begin += block
        results: Any = jax.device_get(started)
        probabilities = [np.zeros((0, NUM_CLASSES), np.float32), *(r[0] for r in results)]
        contacts = [np.zeros(0, np.float32), *(r[1] for r in results)]
        return Readings(np.concatenate(probabilities)[:count], np.concatenate(contacts)[:count])

    return read


def _block_sizes() -> tuple[int, ...]:
    return CPU_BLOCKS if jax.default_backend() == "cpu" else ACCELERATOR_BLOCKS
