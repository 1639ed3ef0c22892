"""Renders ink as a photograph: on paper in uneven light, or faint on a coloured background.

Each step draws its own parameters from the generator, in a fixed order: the same generator state
gives the same bits.
"""

from io import BytesIO

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image
from scipy import ndimage

Ink = UInt8[np.ndarray, "h w"]
Shape = tuple[int, ...]  # height and width, pixels
Colour = Float64[np.ndarray, "3"]  # red, green and blue, 0–1
Field = Float64[np.ndarray, "h w"]
Picture = Float64[np.ndarray, "h w 3"]


def photograph_page(ink: Ink, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Renders dark ink on light paper with uneven light, shadow, grain, blur and JPEG compression.

    picture = light · ((1 − ink) · paper + ink · pen) + texture

    Args:
      ink: `[h, w]` uint8, bright where there is ink.
      rng: draws the paper, the pen, the light and the camera.

    Returns:
      `[h, w, 3]` uint8.
    """
    paper, pen = draw_page_colours(rng)
    light = draw_illumination(ink.shape, rng)[..., None]
    light = light * draw_shadow(ink.shape, rng)[..., None]
    opacity = (ink / 255.0)[..., None]
    picture = light * (paper * (1 - opacity) + pen * opacity)
    picture = picture + draw_paper_texture(ink.shape, rng)[..., None]
    return _decode(encode_jpeg(expose(picture, rng), rng))


def photograph_textured(ink: Ink, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Renders faint ink, lighter or darker, on a background of smoothly changing colours.

    picture = background + ink · contrast

    Args and returns: as for `photograph_page`.
    """
    background = draw_background(ink.shape, rng)
    contrast = draw_ink_contrast(rng)
    picture = background + contrast * (ink / 255.0)[..., None]
    return _decode(encode_jpeg(expose(picture, rng), rng))


def draw_page_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Draws the colours of light, nearly grey paper and of a pen that is darker in each channel."""
    paper = rng.uniform(0.7, 1.0) * (1 - rng.uniform(0, 0.15, 3))
    pen = paper * rng.uniform(0.05, 0.45) * (1 - rng.uniform(0, 0.3, 3))
    return paper, pen


def draw_illumination(shape: Shape, rng: np.random.Generator) -> Field:
    """Draws light with a brightness of 0.55 to 1 that varies smoothly by 10 to 50 %."""
    return rng.uniform(0.55, 1.0) * (1 + rng.uniform(0.1, 0.5) * draw_smooth_field(shape, rng))


def draw_shadow(shape: Shape, rng: np.random.Generator) -> Field:
    """Draws the factor by which a shadow dims the light at each pixel.

    Half of the pictures have no shadow: their factors are 1. A shadow takes 10 to 40 % of the light
    beyond a straight edge, at most 100 px off the centre. The edge is a logistic curve whose scale
    is 3 to 40 px.
    """
    if rng.random() >= 0.5:
        return np.ones(shape)
    depth = rng.uniform(0.1, 0.4)
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(3, 40)
    y, x = np.indices(shape)
    distance = np.cos(angle) * (x - shape[1] / 2) + np.sin(angle) * (y - shape[0] / 2)
    return 1 - depth * (1 / (1 + np.exp(-(distance - rng.uniform(-100, 100)) / softness)))


def draw_paper_texture(shape: Shape, rng: np.random.Generator) -> Field:
    """Draws the texture of paper fibres: blurred noise with a standard deviation of 0 to 0.03.

    The blur's sigma is 0.5 to 2 px.
    """
    amplitude = rng.uniform(0, 0.03)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 2))
    return amplitude * (noise / noise.std())


def draw_background(shape: Shape, rng: np.random.Generator) -> Picture:
    """Draws a background whose channels vary smoothly by up to 0.2 around 0.25 to 0.75."""
    middle = rng.uniform(0.25, 0.75, 3)
    return np.stack(
        [middle[c] + rng.uniform(0, 0.2) * draw_smooth_field(shape, rng) for c in range(3)], -1
    )


def draw_ink_contrast(rng: np.random.Generator) -> Colour:
    """Draws the difference between ink and background in each channel.

    It is 0.15 to 0.4, times a factor of 0.6 to 1 for each channel. Ink is lighter (above 0) or
    darker (below 0) with equal probability.
    """
    contrast = rng.uniform(0.15, 0.4) * rng.choice([-1, 1])
    return contrast * rng.uniform(0.6, 1.0, 3)


def draw_smooth_field(shape: Shape, rng: np.random.Generator) -> Field:
    """Draws a smooth field in −1 … 1: 3×3 uniform knots with quadratic interpolation."""
    knots = rng.uniform(-1, 1, (3, 3))
    return ndimage.zoom(
        knots, [side / 3 for side in shape], order=2, mode="nearest", grid_mode=True
    ).clip(-1, 1)


def expose(picture: Picture, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Blurs a picture as a lens does, adds sensor noise, and rounds to 8 bits.

    The blur's sigma is 0 to 0.8 px. The noise has a standard deviation of 0 to 0.025.
    """
    sigma = rng.uniform(0, 0.8)
    picture = ndimage.gaussian_filter(picture, (sigma, sigma, 0))
    picture = picture + rng.uniform(0, 0.025) * rng.normal(size=picture.shape)
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)


def encode_jpeg(pixels: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> bytes:
    """Compresses a picture as JPEG with a quality of 60 to 95."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return file.getvalue()


def _decode(file: bytes) -> UInt8[np.ndarray, "h w 3"]:
    with Image.open(BytesIO(file)) as image:
        return np.asarray(image)
