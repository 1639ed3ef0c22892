"""Classification of any number of crops, on one device and on several."""

from functools import partial

import jax
import numpy as np
import pytest

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import Scene
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crop_classifier import (
    Classify,
    classify_block,
    crop_classifier,
    crop_mesh,
)
from digits_jax.detect.detector import Detector
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import Params


def test_blocks_are_spread_over_devices_that_share_them_evenly() -> None:
    """The tests have four virtual devices."""
    assert crop_mesh(1) is None
    sizes = {count: mesh.size for count in (2, 3, 4) if (mesh := crop_mesh(count))}
    assert sizes == {2: 2, 3: 2, 4: 4}  # three cannot share 128 crops
    every = crop_mesh()
    assert every
    assert every.size == 4


@pytest.mark.parametrize(("devices", "count"), [(2, 5), (4, 0), (4, 1), (4, 131)])
def test_several_devices_read_crops_as_one_does(
    devices: int, count: int, params: Params, mnist: Mnist, classify: Classify
) -> None:
    crops = np.asarray(uint8_to_float(mnist.test.images[:count]))
    mesh = crop_mesh(devices)
    program = partial(classify_block, contact=DEFAULT_CONFIG.border_contact, mesh=mesh)
    shared = crop_classifier(params, program, mesh)([crops[:2], crops[2:]])
    alone = classify([crops])
    assert shared.probabilities.shape == (count, 10)
    np.testing.assert_allclose(shared.probabilities, alone.probabilities, atol=1e-5)
    np.testing.assert_allclose(shared.contacts, alone.contacts, atol=1e-6)


def test_accelerators_share_the_crops_and_find_what_a_cpu_finds(
    detector: Detector, params: Params, scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The four devices of the tests, and their programs, are taken for accelerators."""
    expected = detector.detect(scenes[0].image)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    found = Detector(params).detect(scenes[0].image)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    layers = Detector(params)._search.params.values()
    shardings = [leaf.sharding for layer in layers for leaf in layer.values()]
    assert {len(sharding.device_set) for sharding in shardings} == {4}
