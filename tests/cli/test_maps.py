"""`digits-jax maps`."""

from pathlib import Path

import numpy as np
import pytest
from command_line import exit_status, save_image

pytestmark = pytest.mark.usefixtures("pretrained")


def test_maps_writes_arrays_and_two_pictures_and_names_them(
    tmp_path: Path, scene_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "maps"
    assert exit_status("maps", scene_file, "--output", folder) == 0
    names = {"maps.npz", "class_maps.png", "confidence_maps.png"}
    assert {path.name for path in folder.iterdir()} == names
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(str(folder / name) in printed.err for name in names)
    with np.load(folder / "maps.npz") as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
        label, probabilities = arrays["label"], arrays["probabilities"]
    assert shapes == {
        "probabilities": (17, 17, 10),
        "margin": (17, 17),
        "entropy": (17, 17),
        "label": (17, 17),
    }
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), label)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_maps_refuses_an_image_of_fewer_than_28_pixels_a_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = save_image(tmp_path / "small.png", np.ones((27, 40), np.uint8))
    assert exit_status("maps", small, "--output", tmp_path / "maps") == 1
    assert "at least 28 pixels a side, got 40 × 27" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
