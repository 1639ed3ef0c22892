"""The negative pictures of all kinds, their shapes before they are drawn, and their hash."""

import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from digits_jax.data.mnist import Dataset
from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.negatives.framed import FRAMED_COUNT, draw_framed
from digits_jax.train.negatives.letters_and_shapes import SHAPE_COUNT, draw_shapes
from digits_jax.train.negatives.photo_clutter import CLUTTER_COUNT, draw_clutter

# The packages whose fonts, photographs and functions make the pictures. With other versions the
# pictures may be others, which is why `run.json` holds their hash.
PACKAGES = ("matplotlib", "PyWavelets", "pillow", "numpy", "scipy", "opencv-python-headless")


class NegativePictures(NamedTuple):
    """Pictures without a digit that training windows show: grey values 0–255, ink bright."""

    shapes: UInt8[Array | np.ndarray, "_ 28 28"]
    clutter: UInt8[Array | np.ndarray, "_ 28 28"]
    # Components of ink that are no digit, framed as digits; None if no window shows them.
    framed: UInt8[Array | np.ndarray, "_ 28 28"] | None = None


def draw_negatives(digits: Dataset | None = None, hands: Dataset | None = None) -> NegativePictures:
    """Draws the negative pictures, the same on every call; framed ones take half a minute.

    Args:
      digits: MNIST's training digits, of which framed components are made. Without them there are
        no framed components.
      hands: digits in other hands, of which components are made as well.
    """
    shapes, clutter = draw_shapes(), draw_clutter()
    framed = None if digits is None else draw_framed(digits, hands, shapes, clutter)
    return NegativePictures(shapes, clutter, framed)


def negatives_spec(*, framed: bool = False) -> NegativePictures:
    """Returns the shapes and dtypes of `draw_negatives()`, to compile for before they are drawn.

    Args:
      framed: whether there are framed components.
    """
    specs: Any = [
        jax.ShapeDtypeStruct((count, INPUT_SIDE, INPUT_SIDE), jnp.uint8)
        for count in (SHAPE_COUNT, CLUTTER_COUNT, *([FRAMED_COUNT] if framed else []))
    ]
    return NegativePictures(*specs)


def negatives_sha256(negatives: NegativePictures) -> str:
    """Returns the SHA-256 of the pictures' grey values and shapes, in hexadecimal."""
    digest = hashlib.sha256()
    for name, pictures in negatives._asdict().items():
        if pictures is None:
            continue
        digest.update(f"{name} {pictures.shape} ".encode())
        digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()
