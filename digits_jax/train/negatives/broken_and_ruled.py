"""Components that hold a digit or a part of it: cut digits, and digits on rulings and in boxes."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from digits_jax.images.mask_box import count_parts
from digits_jax.train.negatives.components import (
    INK,
    crop_to_ink,
    frame_component,
    largest_component,
)
from digits_jax.train.negatives.merged_digits import SampleDigit

SIDE = 112  # px of the canvas on which digits and lines are drawn
HEIGHT = (18.0, 40.0)  # px of the longer side of a digit on it
OVERHANG = 0.35  # least length of a line beyond the digit, as a share of the digit's height
PART = (0.25, 0.7)  # share of a digit's ink that is in a part of it


def draw_part(sample: SampleDigit, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Cuts a digit by a random line near its middle, and frames the largest piece on one side.

    Pieces with a hole are left out, since the loop of a 6, 8 or 9 is a 0.
    """
    while True:
        digit = np.asarray(Image.fromarray(sample()).resize((56, 56), Image.Resampling.BILINEAR))
        ink = digit > INK
        y, x = np.nonzero(ink)
        angle = rng.uniform(0, 2 * np.pi)
        across = (np.arange(56)[:, None] - y.mean()) * np.sin(angle) + (
            np.arange(56)[None] - x.mean()
        ) * np.cos(angle)
        threshold = float(np.quantile(across[ink], rng.uniform(*PART)))
        part = np.where(across < threshold, digit, 0).astype(np.uint8)
        mask = largest_component(part)
        if mask.sum() < PART[0] * ink.sum() or _has_hole(mask):
            continue
        return frame_component(part, mask, int(rng.integers(2)))


def draw_ruled_digit(sample: SampleDigit, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws a digit with lines that it touches, and frames them together.

    The lines are a ruling under it or through it, one beside it, a box around it, or two sides of a
    box. They reach so far beyond the digit that none is a foot of a 1 or the bar of a crossed 7.
    """
    while True:
        height = rng.uniform(*HEIGHT)
        image = Image.new("L", (SIDE, SIDE))
        ink = crop_to_ink(sample())
        factor = height / max(ink.shape)
        size = (max(3, round(ink.shape[1] * factor)), max(3, round(ink.shape[0] * factor)))
        digit = Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR)
        left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
        image.paste(digit, (left, top))
        lines = Image.new("L", image.size)
        _draw_lines(ImageDraw.Draw(lines), (left, top, left + size[0], top + size[1]), height, rng)
        lines = lines.rotate(rng.normal() * 2, Image.Resampling.BILINEAR)
        picture = np.maximum(np.asarray(image), np.asarray(lines))
        mask = largest_component(picture)
        line_ink, digit_ink = np.asarray(lines) > INK, np.asarray(image) > INK
        if mask[digit_ink].mean() > 0.8 and mask[line_ink].mean() > 0.5:
            return frame_component(picture, mask, int(rng.integers(2)))


def _draw_lines(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    height: float,
    rng: np.random.Generator,
) -> None:
    left, top, right, bottom = box
    grey, width = int(rng.integers(120, 256)), int(rng.integers(1, max(2, round(height / 7)) + 1))
    reach = [height * (OVERHANG + rng.exponential(0.5)) for _ in range(2)]
    x0, x1 = max(0, left - round(reach[0])), min(SIDE - 1, right + round(reach[1]))
    near = [int(rng.integers(-2, max(2, round(height / 4)))) for _ in range(4)]
    kind = rng.random()
    if kind < 0.35:  # a ruling at the digit's foot, or through its lower half
        y = bottom - near[0]
        draw.line([(x0, y), (x1, y)], fill=grey, width=width)
    elif kind < 0.55:  # a ruling through it anywhere, or squared paper
        for _ in range(rng.integers(1, 3)):
            y = round(rng.uniform(top, bottom))
            draw.line([(x0, y), (x1, y)], fill=grey, width=width)
        if rng.random() < 0.4:
            x, (y0, y1) = round(rng.uniform(left, right)), (top - reach[0], bottom + reach[1])
            draw.line([(x, round(y0)), (x, round(y1))], fill=grey, width=width)
    elif kind < 0.65:  # a margin or a side of a field, upright
        x = right - near[0] if rng.random() < 0.5 else left + near[0]
        y0, y1 = max(0, top - round(reach[0])), min(SIDE - 1, bottom + round(reach[1]))
        draw.line([(x, y0), (x, y1)], fill=grey, width=width)
    elif kind < 0.8:  # a box, which the digit touches
        gap = np.rint(rng.uniform(0, 0.4, 4) * height).astype(int)
        gap[rng.integers(4)] = -abs(near[0]) // 2
        draw.rectangle(
            (left - gap[0], top - gap[1], right + gap[2], bottom + gap[3]),
            outline=grey,
            width=width,
        )
    else:  # two sides of a box
        x = left + near[0] if rng.random() < 0.5 else right - near[0]
        y = top + near[1] if rng.random() < 0.5 else bottom - near[1]
        far_x = x1 if x < (left + right) / 2 else x0
        far_y = bottom + reach[0] if y < (top + bottom) / 2 else top - reach[0]
        draw.line([(far_x, y), (x, y), (x, round(far_y))], fill=grey, width=width)


def _has_hole(mask: np.ndarray) -> bool:
    return count_parts(~np.pad(mask, 1)) > 1
