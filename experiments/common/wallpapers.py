"""Photographs without digits to choose by: wallpapers, from two packages of Debian.

Training, fitting and tables know nothing of them. Weights are compared by the false detections in
them, so that the photographs of the tables decide nothing.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from experiments.common.debian_data import debian_path
from experiments.common.images_without_digits import cut_squares

MATE, UKUI = "usr/share/backgrounds/mate/nature", "usr/share/backgrounds"
# The photographs among the wallpapers: of flowers, water, dunes, a city and the like. Those of MATE
# have several licences, which the package names; those of UKUI are CC BY-SA 3.0.
WALLPAPERS = {
    "mate-backgrounds": [
        f"{MATE}/{name}.jpg"
        for name in ("Aqua", "Blinds", "Dune", "FreshFlower", "Garden", "GreenMeadow", "LadyBird",
                     "RainDrops", "Storm", "TwoWings", "Wood", "YellowFlower")
    ],
    "ukui-wallpapers": [
        f"{UKUI}/{name}"
        for name in ("calla.png", "city.png", "goldfish.png", "rollpaper.png", "string.jpg",
                     "the-mouse.jpg")
    ],
}  # fmt: skip
LONGER_SIDE = 1200  # px, to which they are reduced from 1,280 to 3,840


def wallpaper_paths() -> list[Path]:
    """Returns the files.

    Raises:
      DigitsJaxError: a package is not there.
    """
    return [
        debian_path(package, path, "compare without `--wallpapers`")
        for package, paths in WALLPAPERS.items()
        for path in paths
    ]


def load_wallpapers() -> list[np.ndarray]:
    """Loads the wallpapers as 156 squares of 300×300 px, RGB.

    Raises:
      DigitsJaxError: a package is not there.
    """
    return [square for path in wallpaper_paths() for square in cut_squares(_reduce(path))]


def _reduce(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        image = file.convert("RGB")
    image.thumbnail((LONGER_SIDE, LONGER_SIDE))
    return np.asarray(image)
