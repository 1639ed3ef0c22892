"""Images that the tests of several commands read."""

import struct
from pathlib import Path

import numpy as np
import pytest
from command_line import save_image
from PIL import Image

from digits_jax.data.mnist import Mnist


@pytest.fixture
def scene_file(tmp_path: Path, mnist: Mnist) -> Path:
    """A PNG file of 60×60 px with two digits of 28 px."""
    canvas = np.zeros((60, 60), np.uint8)
    canvas[:28, :28], canvas[30:58, 30:58] = np.asarray(mnist.validation.images[:2])
    return save_image(tmp_path / "scene.png", canvas)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of seven files with nine pages; four of the files cannot be read."""
    blank = np.zeros((40, 50), np.uint8)
    folder = tmp_path / "scans"
    save_image(folder / "a.png", blank)
    save_image(folder / "b/whole.png", blank)
    incomplete = (folder / "b/whole.png").read_bytes()[:50]
    (folder / "b/cut.png").write_bytes(incomplete)
    (folder / "c.jpg").touch()
    (folder / "d.tif").write_text("shopping list")
    sides = (50_000, 50_000)
    header = struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, *sides, 1, 24, *6 * [0])
    (folder / "e.bmp").write_bytes(b"BM" + header)
    pages = [Image.fromarray(np.zeros((10 + k, 20), np.uint8)) for k in range(3)]
    pages[0].save(folder / "f.tiff", save_all=True, append_images=pages[1:])
    return folder
