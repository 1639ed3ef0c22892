"""Negative pictures framed as digits are: components of ink that are no digit."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from digits_jax.data.font_glyphs import load_font_letters
from digits_jax.data.mnist import Dataset
from digits_jax.train.hands.stroke_width import change_stroke_width
from digits_jax.train.negatives.broken_and_ruled import draw_part, draw_ruled_digit
from digits_jax.train.negatives.components import (
    EIGHT_NEIGHBOURS,
    INK,
    frame_component,
    largest_component,
)
from digits_jax.train.negatives.likeness import DigitLikeness
from digits_jax.train.negatives.merged_digits import draw_overlap, draw_row
from digits_jax.train.negatives.signs import draw_sign

# Pictures of each kind.
ROWS, OVERLAPS, PARTS, RULED, SIGNS, SHAPES, CLUTTER, LETTERS = (
    *(4000, 5200, 3200, 4800),
    *(1600, 2600, 2600, 14000),
)
FRAMED_COUNT = ROWS + OVERLAPS + PARTS + RULED + SIGNS + SHAPES + CLUTTER + LETTERS
SEED = 2020
MIN_HEIGHT_PX = 8  # of a component of clutter
OTHER_HANDS = 0.25  # share of the digits in the pictures that are in other hands
# Fewer of the letters are left out, since they are no digits by their names.
LETTER_QUANTILE = 0.3
CHANGED_LETTERS = 0.5  # share of the letters whose strokes are thinner or thicker

Picture = UInt8[np.ndarray, "28 28"]


def draw_framed(
    digits: Dataset,
    hands: Dataset | None,
    shapes: UInt8[np.ndarray, "_ 28 28"],
    clutter: UInt8[np.ndarray, "_ 28 28"],
) -> UInt8[np.ndarray, "n 28 28"]:
    """Draws 38,000 pictures, the same on every call.

    They are digits that touch or overlap, parts of digits, digits on rulings and in boxes, signs,
    shapes, components of clutter, and letters, half of them with thinner or thicker strokes. A
    picture that looks like a digit is replaced by another of its kind; a letter, only if it looks
    very much like one.

    Args:
      digits: MNIST's training digits.
      hands: digits in other hands, such as those of `draw_other_hands`, a quarter of the digits of
        which the pictures are made.
      shapes: as `draw_shapes` returns them.
      clutter: as `draw_clutter` returns them.
    """
    rng = np.random.default_rng(SEED)
    pools = [digits] if hands is None else [digits, hands]
    images = [np.asarray(pool.images) for pool in pools]
    labels = np.concatenate([np.asarray(pool.labels) for pool in pools])
    looks_like_digit = DigitLikeness(Dataset(np.concatenate(images), labels))

    def sample() -> Picture:
        pool = images[-1 if rng.random() < OTHER_HANDS else 0]
        return pool[rng.integers(len(pool))]

    font_letters = np.asarray(load_font_letters("train"))
    kinds: list[tuple[int, Callable[[], Picture | None]]] = [
        (ROWS, lambda: draw_row(sample, rng)),
        (OVERLAPS, lambda: draw_overlap(sample, rng)),
        (PARTS, lambda: draw_part(sample, rng)),
        (RULED, lambda: draw_ruled_digit(sample, rng)),
        (SIGNS, lambda: draw_sign(rng)),
        (SHAPES, lambda: _frame_shape(shapes[rng.integers(len(shapes))])),
        (CLUTTER, lambda: _frame_clutter(clutter[rng.integers(len(clutter))], rng)),
    ]
    kept = [_draw_unlike(count, draw, looks_like_digit) for count, draw in kinds]
    letters = _draw_unlike(
        LETTERS,
        lambda: _draw_letter(font_letters, rng),
        partial(looks_like_digit, quantile=LETTER_QUANTILE),
    )
    return np.concatenate([*kept, letters])


def _draw_unlike(
    count: int,
    draw: Callable[[], Picture | None],
    looks_like_digit: Callable[[UInt8[np.ndarray, "_ 28 28"]], Bool[np.ndarray, " _"]],
) -> UInt8[np.ndarray, "n 28 28"]:
    """Draws pictures until there are enough that do not look like a digit."""
    kept: list[Picture] = []
    while len(kept) < count:
        drawn = (draw() for _ in range(count - len(kept) + 20))
        pictures = np.stack([picture for picture in drawn if picture is not None])
        kept += list(pictures[~looks_like_digit(pictures)])
    return np.stack(kept[:count])


def _draw_letter(letters: UInt8[np.ndarray, "_ 28 28"], rng: np.random.Generator) -> Picture:
    letter = letters[rng.integers(len(letters))]
    return change_stroke_width(letter, rng) if rng.random() < CHANGED_LETTERS else letter


def _frame_shape(shape: Picture) -> Picture | None:
    mask = largest_component(shape)
    return frame_component(shape, mask, 1) if mask.sum() > MIN_HEIGHT_PX else None


def _frame_clutter(clutter: Picture, rng: np.random.Generator) -> Picture | None:
    """Frames one of the components of a picture, at random; None if it has none."""
    labels, count = ndimage.label(clutter > INK, EIGHT_NEIGHBOURS)
    if not count:
        return None
    mask = labels == 1 + rng.integers(count)
    rows = np.flatnonzero(mask.any(axis=1))
    if rows[-1] - rows[0] + 1 < MIN_HEIGHT_PX or mask.all():
        return None
    return frame_component(clutter, mask, int(rng.integers(2)))
