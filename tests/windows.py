"""Training windows as tests compose and measure them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.train.compose import compose_windows
from digits_jax.train.config import TrainConfig
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.negatives.draw import NegativePictures, draw_negatives

# Without any augmentation: every test adds the one that it is about.
PLAIN = dataclasses.replace(
    CONFIGS["standard"],
    translate_px=0,
    scale=1.0,
    rotation_deg=0.0,
    shear=0.0,
    aspect=1.0,
    elastic_sigma_px=0.0,
    neighbours=0.0,
    negative_off_centre=0.0,
    negative_wrong_size=0.0,
    negative_shapes=0.0,
    negative_textures=0.0,
    negative_blank=0.0,
    negative_framed=0.0,
    jittered_crops=0.0,
    other_hands=0.0,
    isolated_digits=0.0,
)
KEY = jax.random.key(0)
COUNT = 600
PIXEL = np.arange(28) + 0.5 - 14  # the pixels' centres, from the window's centre


def negatives_without_components() -> NegativePictures:
    """Returns the negatives; shapes stand for framed components, which take long to draw."""
    negatives = draw_negatives()
    return negatives._replace(framed=negatives.shapes)


def compose(
    digits: np.ndarray,
    config: TrainConfig,
    key: jax.Array = KEY,
    negatives: NegativePictures | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Composes windows without `jit`, which would compile everything anew for each config.

    Returns:
      The windows `[n, 28, 28]` and their target confidences `[n]`.
    """
    negatives = negatives or negatives_without_components()
    windows, confidence = compose_windows(key, jnp.asarray(digits, jnp.float32), negatives, config)
    assert windows.shape == (len(digits), 28, 28, 1)
    assert windows.dtype == jnp.float32
    assert confidence.shape == (len(digits),)
    return np.asarray(windows[..., 0]), np.asarray(confidence)


def blob(y: float, x: float, sigma: float) -> np.ndarray:
    """Returns a Gaussian whose centre is at (y, x) from the window's centre, in px."""
    return np.exp(-((PIXEL[:, None] - y) ** 2 + (PIXEL[None] - x) ** 2) / (2 * sigma**2))


def centres(windows: np.ndarray) -> np.ndarray:
    """Returns the centres of mass as (y, x) from the window's centre, in px."""
    moment_y, moment_x = windows.sum(axis=2) @ PIXEL, windows.sum(axis=1) @ PIXEL
    return np.stack([moment_y, moment_x], axis=-1) / windows.sum(axis=(1, 2))[:, None]
