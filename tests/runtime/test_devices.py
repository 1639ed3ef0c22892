"""The mesh of devices that share a batch."""

import jax
import pytest

from digits_jax.runtime.devices import data_mesh


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 50, 51, 97, 256])
def test_data_mesh_has_the_most_devices_that_divide_the_batch(batch_size: int) -> None:
    mesh = data_mesh(batch_size)
    available = jax.device_count()
    assert mesh.axis_names == ("data",)
    assert batch_size % mesh.size == 0
    assert not any(batch_size % n == 0 for n in range(mesh.size + 1, available + 1))
    assert list(mesh.devices) == jax.devices()[: mesh.size]


def test_data_mesh_of_four_devices_has_2_3_or_4_of_them() -> None:
    assert jax.device_count() == 4
    assert [data_mesh(batch_size).size for batch_size in (50, 51, 256)] == [2, 3, 4]


def test_data_mesh_takes_the_devices_that_are_given() -> None:
    """Bulk detection gives those of its own process; all of a batch's images are there."""
    mesh = data_mesh(6, jax.devices()[1:4])
    assert list(mesh.devices) == jax.devices()[1:4]
    assert list(data_mesh(4, jax.devices()[1:4]).devices) == jax.devices()[1:3]
