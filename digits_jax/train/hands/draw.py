"""The pool of digits in other hands than MNIST's: fonts, drawn strokes, other stroke widths."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.mnist import Dataset
from digits_jax.images.mnist_format import MNIST_SIDE
from digits_jax.train.hands.pen import draw_digit
from digits_jax.train.hands.resolution import lower_resolution
from digits_jax.train.hands.stroke_width import change_stroke_width

FONT_COUNT, DRAWN_COUNT, CHANGED_COUNT, COARSE_COUNT = 6000, 8000, 3000, 12_000
OTHER_HANDS_COUNT = FONT_COUNT + DRAWN_COUNT + CHANGED_COUNT + COARSE_COUNT
COARSE_MNIST_SHARE = 0.7  # of the digits of few pixels; the others are of the rest of the pool
SEED = 2019


def draw_other_hands(digits: Dataset) -> Dataset:
    """Draws 29,000 digits as MNIST's makers would have framed them; the same on every call.

    6,000 are of the training fonts, 8,000 are drawn with a pen, 3,000 are digits of MNIST whose
    strokes are thinner or thicker, and 12,000 are digits of all these kinds and of MNIST that have
    few pixels. The classes are about equally frequent.

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
    images, labels = np.asarray(digits.images), np.asarray(digits.labels, np.uint8)
    changed_rows = rng.choice(len(labels), CHANGED_COUNT)
    changed = [change_stroke_width(images[row], rng) for row in changed_rows]
    hands = Dataset(
        np.concatenate([np.asarray(fonts.images)[rows], np.stack(drawn), np.stack(changed)]),
        np.concatenate(
            [np.asarray(fonts.labels, np.uint8)[rows], drawn_labels, labels[changed_rows]]
        ),
    )
    sharp = Dataset(*(np.asarray(array) for array in (images, labels))), hands
    counts = (
        round(COARSE_MNIST_SHARE * COARSE_COUNT),
        round((1 - COARSE_MNIST_SHARE) * COARSE_COUNT),
    )
    coarse = []
    for source, count in zip(sharp, counts, strict=True):
        chosen = rng.choice(len(source.labels), count)
        pictures = [lower_resolution(np.asarray(source.images[row]), rng) for row in chosen]
        coarse.append(Dataset(np.stack(pictures), source.labels[chosen]))
    return Dataset(*(np.concatenate(arrays) for arrays in zip(hands, *coarse, strict=True)))


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
