"""Images without digits, where every detection is false: photographs, letters, clothes.

They are pictures of scikit-image, which are cut into squares, letters in Pillow's font, and scenes
of clothes from Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017), each item apart from the others, as
large as digits are and as bright. Training never saw any of them.
"""

import string
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.data.idx import read_idx_folder
from digits_jax.images.box_iou import box_iou
from experiments.common.debian_data import debian_path

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket", "retina",
               "hubble_deep_field", "motorcycle_left")  # fmt: skip
TEXTURES = ("brick", "grass", "gravel", "ihc", "cell")
FIGURES = ("horse", "phantom", "chessboard_GRAY", "chessboard_RGB", "logo")
NORMALISED = "photographs, normalised"  # the set whose images are to be normalised first
CLOTHES = "clothes"  # the set that needs Fashion-MNIST
SIDE = 300  # px: side of the squares
CLOTHES_SCENES = 40
CLOTHES_COUNTS, CLOTHES_SIDES = (3, 10), (28, 90)  # items in a scene; px of an item's square
FASHION_MNIST_PACKAGE = "dataset-fashion-mnist"  # of Debian; MIT licence
FASHION_MNIST_FOLDER = "usr/share/datasets/fashion-mnist"  # in that package


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


def fashion_mnist_folder() -> Path:
    """Returns the folder with Fashion-MNIST's idx files: Debian's, or the one in the cache.

    Raises:
      DigitsJaxError: there is neither.
    """
    otherwise = f"leave the set {CLOTHES} out"
    return debian_path(FASHION_MNIST_PACKAGE, FASHION_MNIST_FOLDER, otherwise)


def compose_clothes(
    count: int = CLOTHES_SCENES, seed: int = 0, folder: Path | None = None
) -> list[UInt8[np.ndarray, "300 300"]]:
    """Composes scenes of 3 to 10 items of clothing on black, on squares that do not overlap.

    Args:
      count: number of scenes.
      seed: 0 or more.
      folder: the folder with Fashion-MNIST's idx files; None for `fashion_mnist_folder()`.
    """
    items = read_idx_folder(folder or fashion_mnist_folder()).test_images
    return [_compose_clothes(np.random.default_rng([seed, k]), items) for k in range(count)]


def _compose_clothes(
    rng: np.random.Generator, items: UInt8[np.ndarray, "n 28 28"]
) -> UInt8[np.ndarray, "300 300"]:
    canvas, squares = np.zeros((SIDE, SIDE), np.uint8), np.zeros((0, 4), np.int64)
    missing = int(rng.integers(*CLOTHES_COUNTS, endpoint=True))
    while missing:
        side = int(rng.integers(*CLOTHES_SIDES, endpoint=True))
        x, y = rng.integers(SIDE - side, endpoint=True, size=2).tolist()
        square = np.array([[x, y, x + side, y + side]])
        if box_iou(square, squares).any():
            continue  # most scenes have ample room left
        squares, missing = np.concatenate([squares, square]), missing - 1
        item = Image.fromarray(items[rng.integers(len(items))])
        resized = item.resize((side, side), Image.Resampling.BILINEAR)
        canvas[y : y + side, x : x + side] = np.asarray(resized)
    return canvas


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
    CLOTHES: compose_clothes,
}
