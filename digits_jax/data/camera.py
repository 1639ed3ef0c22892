"""Scenes as a camera sees them: a pen's ink on a page in uneven light, and faint coloured ink."""

from io import BytesIO

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image
from scipy import ndimage

Ink = UInt8[np.ndarray, "h w"]


def photograph_page(ink: Ink, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Dark ink on light paper, photographed: uneven light, a shadow, grain, blur and JPEG.

    Args:
      ink: `[h, w]` uint8, bright where a pen has been.
      rng: draws the paper, the pen and the light.

    Returns:
      `[h, w, 3]` uint8.
    """
    shape = ink.shape
    paper = rng.uniform(0.7, 1.0) * (1 - rng.uniform(0, 0.15, 3))
    pen = paper * rng.uniform(0.05, 0.45) * (1 - rng.uniform(0, 0.3, 3))
    light = rng.uniform(0.55, 1.0) * (1 + rng.uniform(0.1, 0.5) * _slope(shape, rng))
    if rng.random() < 0.5:
        light = light * (1 - rng.uniform(0.1, 0.4) * _shadow(shape, rng))
    covered = (ink / 255.0)[..., None]
    picture = light[..., None] * (paper * (1 - covered) + pen * covered)
    picture = picture + rng.uniform(0, 0.03) * _fibres(shape, rng)[..., None]
    return _taken(picture, rng)


def photograph_textured(ink: Ink, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Ink of one colour, lighter or darker, faint, on a background whose colours flow smoothly.

    Args and returns as for `photograph_page`.
    """
    shape = ink.shape
    middle = rng.uniform(0.25, 0.75, 3)
    background = np.stack(
        [middle[c] + rng.uniform(0, 0.2) * _slope(shape, rng) for c in range(3)], -1
    )
    contrast = rng.uniform(0.15, 0.4) * rng.choice([-1, 1])
    colour = contrast * rng.uniform(0.6, 1.0, 3)
    picture = background + colour * (ink / 255.0)[..., None]
    return _taken(picture, rng)


def _slope(shape: tuple[int, ...], rng: np.random.Generator) -> Float64[np.ndarray, "h w"]:
    """A smooth field in −1 … 1: a few knots, interpolated."""
    knots = rng.uniform(-1, 1, (3, 3))
    return ndimage.zoom(
        knots, [side / 3 for side in shape], order=2, mode="nearest", grid_mode=True
    ).clip(-1, 1)


def _shadow(shape: tuple[int, ...], rng: np.random.Generator) -> Float64[np.ndarray, "h w"]:
    """0 in the light and 1 beyond a straight edge, which is more or less soft."""
    y, x = np.indices(shape)
    angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(3, 40)
    from_edge = np.cos(angle) * (x - shape[1] / 2) + np.sin(angle) * (y - shape[0] / 2)
    return 1 / (1 + np.exp(-(from_edge - rng.uniform(-100, 100)) / soft))


def _fibres(shape: tuple[int, ...], rng: np.random.Generator) -> Float64[np.ndarray, "h w"]:
    """Texture of paper, of standard deviation 1: noise, blurred to a few pixels."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 2))
    return noise / noise.std()


def _taken(
    picture: Float64[np.ndarray, "h w 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Blurred by the lens, grainy by the sensor, and compressed."""
    sigma = rng.uniform(0, 0.8)
    picture = ndimage.gaussian_filter(picture, (sigma, sigma, 0))
    picture = picture + rng.uniform(0, 0.025) * rng.normal(size=picture.shape)
    pixels = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(60, 96)))
    with Image.open(file) as image:
        return np.asarray(image)
