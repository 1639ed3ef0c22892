"""The pool of digits in other hands than MNIST's: fonts, drawn strokes, other stroke widths."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.mnist import Dataset
from digits_jax.images.mnist_format import MNIST_SIDE
from digits_jax.train.hands.pen import draw_digit
from digits_jax.train.hands.stroke_width import change_stroke_width

FONT_COUNT, DRAWN_COUNT, CHANGED_COUNT = 6000, 5000, 3000
OTHER_HANDS_COUNT = FONT_COUNT + DRAWN_COUNT + CHANGED_COUNT
SEED = 2019


def draw_other_hands(digits: Dataset) -> Dataset:
    """Draws 14,000 digits as MNIST's makers would have framed them; the same on every call.

    6,000 are of the training fonts, 5,000 are drawn with a pen, and 3,000 are digits of MNIST whose
    strokes are thinner or thicker. The classes are about equally frequent.

    Args:
      digits: MNIST's training digits.
    """
    rng = np.random.default_rng(SEED)
    fonts = load_font_digits("train")
    # Rows of all fonts before any row a second time.
    rows = np.concatenate(
        [rng.permutation(len(fonts.labels)) for _ in range(-(-FONT_COUNT // len(fonts.labels)))]
    )[:FONT_COUNT]
    drawn_labels = np.arange(DRAWN_COUNT, dtype=np.uint8) % 10
    drawn = [draw_digit(int(label), rng) for label in drawn_labels]
    images = np.asarray(digits.images)
    changed_rows = rng.choice(len(digits.labels), CHANGED_COUNT)
    changed = [change_stroke_width(images[row], rng) for row in changed_rows]
    return Dataset(
        np.concatenate([np.asarray(fonts.images)[rows], np.stack(drawn), np.stack(changed)]),
        np.concatenate(
            [
                np.asarray(fonts.labels, np.uint8)[rows],
                drawn_labels,
                np.asarray(digits.labels, np.uint8)[changed_rows],
            ]
        ),
    )


def other_hands_spec() -> Dataset:
    """Returns the shapes and dtypes of `draw_other_hands()`, to compile for before it is drawn."""
    shape = (OTHER_HANDS_COUNT, MNIST_SIDE, MNIST_SIDE)
    images, labels = (jax.ShapeDtypeStruct(s, jnp.uint8) for s in (shape, shape[:1]))
    return Dataset(images, labels)  # type: ignore[arg-type]


def other_hands_sha256(hands: Dataset) -> str:
    """Returns the SHA-256 of the digits and their labels, in hexadecimal."""
    digest = hashlib.sha256(f"{hands.images.shape} ".encode())
    for array in hands:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
