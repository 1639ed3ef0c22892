"""Images without digits, where every detection is false: pictures of scikit-image, and letters.

Training never saw any of them. Large images are cut into squares, so that one compiled program
serves all of them.
"""

import string
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket", "retina",
               "hubble_deep_field", "motorcycle_left")  # fmt: skip
TEXTURES = ("brick", "grass", "gravel", "ihc", "cell")
FIGURES = ("horse", "phantom", "chessboard_GRAY", "chessboard_RGB", "logo")
NORMALISED = "photographs, normalised"  # the set whose images are to be normalised first
SIDE = 300  # px: side of the squares


def load_photograph(name: str) -> np.ndarray:
    """Loads a picture of scikit-image as RGB."""
    from skimage import data

    file = next(Path(data.__file__).parent.glob(f"{name}.*"))
    return np.asarray(Image.open(file).convert("RGB"))


def to_grey(image: np.ndarray) -> np.ndarray:
    """Converts an RGB image to its luma."""
    return np.asarray(Image.fromarray(image).convert("L"))


def cut_squares(image: np.ndarray) -> list[np.ndarray]:
    """Cuts whole squares from the middle of an image; pads a smaller image with black."""
    missing_rows, missing_columns = (max(0, SIDE - side) for side in image.shape[:2])
    padding = ((0, missing_rows), (0, missing_columns), *[(0, 0)] * (image.ndim - 2))
    image = np.pad(image, padding)
    rows, columns = (side // SIDE for side in image.shape[:2])
    top, left = (image.shape[0] - rows * SIDE) // 2, (image.shape[1] - columns * SIDE) // 2
    return [
        image[top + SIDE * r : top + SIDE * (r + 1), left + SIDE * c : left + SIDE * (c + 1)]
        for r in range(rows)
        for c in range(columns)
    ]


def draw_letters(seed: int) -> np.ndarray:
    """Draws lines of Latin letters of 16 to 60 px in Pillow's default font."""
    rng = np.random.default_rng(seed)
    page = Image.new("L", (SIDE, SIDE))
    draw, y = ImageDraw.Draw(page), 4.0
    while y < SIDE - 60:
        size = float(rng.uniform(16, 60))
        text = "".join(rng.choice(list(string.ascii_letters), 24))
        draw.text((4, y), text, fill=255, font=ImageFont.load_default(size))
        y += 1.2 * size
    return np.asarray(page)


def _load_squares(*names: str, grey: bool) -> list[np.ndarray]:
    photographs = (load_photograph(name) for name in names)
    images = (to_grey(photograph) if grey else photograph for photograph in photographs)
    return [square for image in images for square in cut_squares(image)]


def _blank_squares() -> list[np.ndarray]:
    return [np.full((SIDE, SIDE), level, np.uint8) for level in range(0, 256, 15)]


IMAGE_SETS: dict[str, Callable[[], list[np.ndarray]]] = {
    "photographs": partial(_load_squares, *PHOTOGRAPHS, grey=True),
    NORMALISED: partial(_load_squares, *PHOTOGRAPHS, grey=False),
    "textures": partial(_load_squares, *TEXTURES, grey=True),
    "figures": partial(_load_squares, *FIGURES, grey=True),
    "blank": _blank_squares,
    "letters": lambda: [draw_letters(seed) for seed in range(10)],
}
