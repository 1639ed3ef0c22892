"""Windows of 28×28 px that show no digit: letters, other scripts, clothes, photographs, noise.

Characters are framed as MNIST's digits are. The fonts are the test families of `fonts.tsv`, and
training draws none of these pictures. What a hand writes like a digit is left out.
"""

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.data.idx import read_idx_folder
from digits_jax.images.mnist_format import MNIST_SIDE, frame_digit
from experiments.common.fonts import (
    CAPITALS_ALONE,
    FontFamily,
    draw_glyph,
    fetch_fonts,
    load_font,
    read_families,
)
from experiments.common.images_without_digits import (
    PHOTOGRAPHS,
    fashion_mnist_folder,
    load_photograph,
    to_grey,
)

Windows = UInt8[np.ndarray, "n 28 28"]

# By themselves these cannot be told from 0, 1, 2, 5, 6, 8 and 9 in some font.
LIKE_DIGITS = frozenset("OoDQIliJjZzSsGbBgq")
KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねはひふほまみむめもやゆよらるれわん"
HANGUL = "가나다라마바사자차카타파하고노도로모보소조초코토포호구누두루무부수주추쿠투푸후"
THAI = "กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"
SCRIPTS = {"kana": KANA, "Hangul": HANGUL, "Thai": THAI}
COUNT = 10_000  # windows of noise, and of photographs
MAX_SCALE = 4.0  # px of a photograph a pixel of a window


def draw_characters(characters: str, families: Sequence[FontFamily], folder: Path) -> Windows:
    """Draws characters in all fonts that have them.

    Args:
      characters: what to draw.
      families: the families; their fonts are fetched if they are missing.
      folder: the folder for the fonts.
    """
    fetch_fonts(list(families), folder)
    fonts = [load_font(family, folder) for family in families]
    drawn = [
        draw_glyph(font, character)
        for family, font in zip(families, fonts, strict=True)
        for character in characters
        # A family of capitals alone draws a d as a D, which is like a digit.
        if not (family.name in CAPITALS_ALONE and character.upper() in LIKE_DIGITS)
    ]
    return np.stack([frame_digit(glyph) for glyph in drawn if glyph is not None])


def load_clothes() -> Windows:
    """Loads the 10,000 test images of Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017)."""
    return read_idx_folder(fashion_mnist_folder()).test_images


def cut_photographs(rng: np.random.Generator) -> Windows:
    """Cuts windows of photographs, at any place and of 28 to 112 px, and reduces them to 28."""
    photographs = [to_grey(load_photograph(name)) for name in PHOTOGRAPHS]
    windows = np.zeros((COUNT, MNIST_SIDE, MNIST_SIDE), np.uint8)
    for window in windows:
        photograph = photographs[rng.integers(len(photographs))]
        side = round(MNIST_SIDE * np.exp(rng.uniform(0, np.log(MAX_SCALE))))
        side = min(side, *photograph.shape)
        top, left = (int(rng.integers(length - side + 1)) for length in photograph.shape)
        crop = Image.fromarray(photograph[top : top + side, left : left + side])
        window[:] = np.asarray(crop.resize((MNIST_SIDE, MNIST_SIDE), Image.Resampling.BOX))
    return windows


def make_noise(rng: np.random.Generator) -> Windows:
    """Draws pixels of uniform grey, all independent."""
    return rng.integers(0, 256, (COUNT, MNIST_SIDE, MNIST_SIDE), np.uint8)


def load_windows_without_digits(fonts: Path) -> dict[str, Windows]:
    """Loads or draws all kinds of windows; the same on every call.

    Args:
      fonts: the folder for the fonts.
    """
    test = [family for family in read_families() if family.split == "test"]
    letters = "".join(sorted(set(string.ascii_letters) - LIKE_DIGITS))
    rng = np.random.default_rng(0)
    greys = np.arange(256, dtype=np.uint8)[:, None, None]
    return {
        "clothes": load_clothes(),
        "letters": draw_characters(letters, test, fonts),
        "noise": make_noise(rng),
        "photographs": cut_photographs(rng),
        "blank": np.broadcast_to(greys, (256, MNIST_SIDE, MNIST_SIDE)),
        **{name: draw_characters(text, test, fonts) for name, text in SCRIPTS.items()},
    }
