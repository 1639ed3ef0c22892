"""Clothes as images without digits, from idx files like Fashion-MNIST's."""

from pathlib import Path

import numpy as np
import pytest

from digits_jax.data.idx import IDX_FILES, idx_header
from digits_jax.runtime.errors import DigitsJaxError
from experiments.common.images_without_digits import compose_clothes, fashion_mnist_folder


@pytest.fixture(name="folder", scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes idx files whose items are all grey squares."""
    folder = tmp_path_factory.mktemp("fashion-mnist")
    for file in IDX_FILES:
        content = bytes([7]) * int(np.prod(file.shape))
        (folder / file.name).write_bytes(idx_header(file.shape) + content)
    return folder


def test_scenes_of_clothes_hold_the_items_apart_and_are_the_same_again(folder: Path) -> None:
    scenes = compose_clothes(5, seed=3, folder=folder)
    for scene in scenes:
        assert scene.shape == (300, 300)
        assert set(np.unique(scene).tolist()) == {0, 7}
        assert 3 * 28**2 <= np.count_nonzero(scene) <= 10 * 90**2
    assert len({scene.tobytes() for scene in scenes}) == 5
    for scene, again in zip(scenes, compose_clothes(5, seed=3, folder=folder), strict=True):
        np.testing.assert_array_equal(scene, again)


def test_missing_files_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path))
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(DigitsJaxError, match=r"apt-get install dataset-fashion-mnist.*leave the"):
        fashion_mnist_folder()
