"""Draws examples/form.png, the form of docs/forms.md: a date, two numbers and a comb of boxes.

Command:   python -m experiments.figures.form_example
"""

import cv2
import numpy as np
from PIL import Image

from digits_jax.data.mnist import load_mnist
from digits_jax.images.mask_box import mask_to_box
from experiments.common.provenance import ROOT

PAPER, INK, FRAME = 245, 40, 90  # grey levels
HEIGHT, PEN, GAP = 32, 4, 9  # px of digits, of strokes, and between neighbours
SEED = 3


def main() -> None:
    """Draws the form and writes it."""
    rng = np.random.default_rng(SEED)
    ink = np.zeros((230, 360), np.uint8)
    _write(ink, "17/05/2024", 24, 60, rng)
    _write(ink, "-3.14", 24, 130, rng)
    _write(ink, "42", 210, 130, rng)
    frames = np.zeros_like(ink)
    for k, digit in enumerate("80731"):
        x = 24 + 52 * k
        cv2.rectangle(frames, (x, 162), (x + 44, 212), 255, 2)
        _write(ink, digit, x + 12, 201, rng, height=26)
    page = PAPER - (PAPER - FRAME) * (frames / 255)
    page += (INK - page) * (ink / 255)
    page += rng.normal(0, 2, page.shape)
    path = ROOT / "examples" / "form.png"
    Image.fromarray(np.rint(page).clip(0, 255).astype(np.uint8)).save(path, optimize=True)
    print(path)


def _write(
    ink: np.ndarray,
    text: str,
    x: int,
    baseline: int,
    rng: np.random.Generator,
    height: int = HEIGHT,
) -> None:
    """Writes digits of MNIST's validation split, and strokes between them."""
    digits = load_mnist(log=lambda line: None).validation
    labels = np.asarray(digits.labels)
    for character in text:
        if character.isdigit():
            number = rng.choice(np.flatnonzero(labels == int(character)))
            image = np.asarray(digits.images[number])
            x0, y0, x1, y1 = mask_to_box(image > 60)
            size = (round((x1 - x0) * height / (y1 - y0)), height)
            crop = Image.fromarray(image[y0:y1, x0:x1]).resize(size, Image.Resampling.BICUBIC)
            place = ink[baseline - height : baseline, x : x + size[0]]
            np.maximum(place, np.asarray(crop), out=place)
            x += size[0] + GAP
        else:
            x = _draw_sign(ink, character, x, baseline) + GAP


def _draw_sign(ink: np.ndarray, sign: str, x: int, baseline: int) -> int:
    """Draws a sign; returns where it ends, px."""
    if sign == "/":
        begin, end = (x, baseline + 5), (x + 15, baseline - HEIGHT - 5)
    elif sign == "-":
        begin, end = (x, baseline - HEIGHT // 2), (x + 14, baseline - HEIGHT // 2)
    else:
        begin = end = (x + 2, baseline - 2)
    cv2.line(ink, begin, end, 255, PEN, cv2.LINE_AA)
    return max(begin[0], end[0])


if __name__ == "__main__":
    main()
