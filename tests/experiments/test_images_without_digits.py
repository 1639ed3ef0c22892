"""Images without digits: clothes, from idx files like Fashion-MNIST's, and wallpapers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits_jax.data.idx import IDX_FILES, idx_header
from digits_jax.runtime.errors import DigitsJaxError
from experiments.common.images_without_digits import compose_clothes, fashion_mnist_folder
from experiments.common.wallpapers import WALLPAPERS, load_wallpapers


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
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(DigitsJaxError, match=r"apt-get install dataset-fashion-mnist.*leave the"):
        fashion_mnist_folder()


def test_wallpapers_are_reduced_and_cut_into_squares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1600×1000 px each: 1200×750 px hold eight whole squares."""
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path))
    paths = [tmp_path / path for paths in WALLPAPERS.values() for path in paths]
    for level, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1600, 1000), (level, 0, 255)).save(path, quality=100)
    squares = load_wallpapers()
    assert len(squares) == 8 * len(paths)
    assert {square.shape for square in squares} == {(300, 300, 3)}
    assert np.abs(squares[-1][0, 0].astype(int) - (len(paths) - 1, 0, 255)).max() <= 3
    paths[-1].unlink()
    with pytest.raises(DigitsJaxError, match=r"apt-get install ukui-wallpapers.*without `--wall"):
        load_wallpapers()
