"""Training windows as tests compose them, and measure them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.train.augment import NegativePictures, compose_windows, draw_negatives
from digits_jax.train.config import CONFIGS, TrainConfig

# Nothing but the digit: every test adds what it is about.
PLAIN = dataclasses.replace(
    CONFIGS["standard"],
    shift=0,
    scale=1.0,
    turn=0.0,
    slant=0.0,
    stretch=1.0,
    bend=0.0,
    neighbours=0.0,
    off_centre=0.0,
    wrong_size=0.0,
    shapes=0.0,
    textures=0.0,
    blank=0.0,
    near_misses=0.0,
)
KEY = jax.random.key(0)
COUNT = 600
PIXEL = np.arange(28) + 0.5 - 14  # pixels' centres, from the window's


def windows_of(
    digits: np.ndarray,
    recipe: TrainConfig,
    key: jax.Array = KEY,
    distractors: NegativePictures | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Without `jit`, which would compile all of it anew for each recipe."""
    windows, centred = compose_windows(
        key, jnp.asarray(digits, jnp.float32), distractors or draw_negatives(), recipe
    )
    assert windows.shape == (len(digits), 28, 28, 1)
    assert windows.dtype == jnp.float32
    assert centred.shape == (len(digits),)
    return np.asarray(windows[..., 0]), np.asarray(centred)


def blob(y: float, x: float, width: float) -> np.ndarray:
    return np.exp(-((PIXEL[:, None] - y) ** 2 + (PIXEL[None] - x) ** 2) / (2 * width**2))


def centres(windows: np.ndarray) -> np.ndarray:
    """Centres of mass, as (y, x) from the window's centre."""
    along_y, along_x = windows.sum(axis=2) @ PIXEL, windows.sum(axis=1) @ PIXEL
    return np.stack([along_y, along_x], axis=-1) / windows.sum(axis=(1, 2))[:, None]
