"""Windows full of edges and shades of grey, for training against: what photographs look like."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import INPUT_SIDE

COUNT = 1024  # windows of a kind, and twice as many of those that are normalised
WINDOWS = 7 * COUNT
SEED = 2018
FINE = 4  # drawn at four times the size and averaged down
SCENES, SCENE = 48, 300  # normalised drawings, and their side in px
LEAVES = 350  # in one of them


@lru_cache(maxsize=1)
def draw_clutter() -> UInt8[np.ndarray, "n 28 28"]:
    """The same 7,168 windows on every call.

    A seventh each are

    - dead leaves (Lee, Mumford and Huang, 2001): shapes of many sizes, each of its own grey, that
      cover each other; here their edges are more or less sharp, and their contrast differs;
    - pieces of photographs of 20 to 300 px, turned by any angle, in positive or negative;
    - strokes at any slope that run through the window, or come in and end, which no 1 does;

    and two sevenths each

    - pieces of larger drawings of dead leaves, and
    - of the photographs, after `normalise`, which leaves what differs from its surroundings.
    """
    rng = np.random.default_rng(SEED)
    photographs = _photographs()
    greys = [photograph.convert("L") for photograph in photographs]
    small = (_leaves(rng, INPUT_SIDE * FINE, int(rng.integers(2, 20))) for _ in range(COUNT))
    leaves = [drawing.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BOX) for drawing in small]
    pieces = [_inverted(_cut(greys[number % len(greys)], 300, rng), rng) for number in range(COUNT)]
    strokes = (
        _strokes(rng).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BOX) for _ in range(COUNT)
    )
    scales = (0.3, 0.5, 0.7, 1.0, 1.4)
    views = [_scaled(photograph, scale) for photograph in photographs for scale in scales]
    with ThreadPoolExecutor() as pool:  # medians take half of the time, and let go of Python's lock
        drawings = list(pool.map(_ink, [_leaves(rng, SCENE, LEAVES) for _ in range(SCENES)]))
        views = list(pool.map(_ink, views))
    return np.stack(
        [_contrasted(window, rng) for window in leaves + pieces]
        + [np.asarray(window) for window in strokes]
        + [_inked(images, rng) for images in (drawings, views) for _ in range(2 * COUNT)]
    )


def _leaves(rng: np.random.Generator, side: int, count: int) -> Image.Image:
    canvas = Image.new("L", (side, side), int(255 * rng.random() ** 2))
    draw = ImageDraw.Draw(canvas)
    for _ in range(count):
        radius = INPUT_SIDE * FINE * 0.06 * (1 + rng.pareto(1.2))
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.choice([3, 4, 5, 24])))
        across, down = radius * rng.uniform(0.2, 1.5, 2)
        x, y = rng.uniform(-radius / 2, side + radius / 2, 2)
        path = np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], -1)
        grey = int(255 * rng.random() ** 2)
        draw.polygon([tuple(p) for p in path.tolist()], fill=grey)
        if rng.random() < 0.05:  # it is striped
            gap, (u, v) = rng.uniform(3, 12) * FINE, rng.normal(size=2)
            for at in np.arange(-2 * side, 2 * side, gap):
                middle = np.array([side / 2, side / 2]) + at * np.array([u, v]) / np.hypot(u, v)
                ends = [tuple((middle + t * np.array([-v, u])).tolist()) for t in (-side, side)]
                draw.line(ends, fill=grey, width=int(gap * rng.uniform(0.3, 0.7)))
    return canvas.filter(ImageFilter.GaussianBlur(float(rng.exponential(0.8)) * FINE))


def _strokes(rng: np.random.Generator) -> Image.Image:
    """One to three strokes on black, bent a little, each from beyond the window."""
    canvas = Image.new("L", (INPUT_SIDE * FINE, INPUT_SIDE * FINE))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):
        angle, bend = rng.uniform(0, 2 * np.pi), rng.normal() * 0.01
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle = INPUT_SIDE / 2 + across * rng.normal() * 6
        end = 25.0 if rng.random() < 0.5 else rng.uniform(-6, 8)
        t = np.linspace(-25, end, 20)[:, None]
        path = FINE * (middle + along * t + across * bend * t**2)
        width = max(int(rng.uniform(1, 7) * FINE), 1)
        draw.line([tuple(p) for p in path.tolist()], fill=int(rng.integers(60, 256)), width=width)
    return canvas.filter(ImageFilter.GaussianBlur(float(rng.exponential(0.5)) * FINE))


def _photographs() -> list[Image.Image]:
    """A portrait, a man on stairs, and fields from the air, as two other packages bring them.

    Grace Hopper by James S. Davis (1984), which is in the public domain and in Matplotlib;
    `ascent`, in the public domain, and `aero` of PyWavelets, which is under the MIT licence.
    """
    from matplotlib import get_data_path  # only training pays for the imports
    from pywt import data

    with Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg") as file:
        portrait = file.convert("RGB")
    others = (Image.fromarray(read().astype(np.uint8)) for read in (data.ascent, data.aero))
    return [portrait, *others]


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    width, height = (int(side * scale) + 1 for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _ink(image: Image.Image) -> Image.Image:
    return Image.fromarray(normalise(np.asarray(image)))


def _inked(images: list[Image.Image], rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """A piece of one of the images, of up to 100 px, in whose middle there is something."""
    while True:
        window = np.asarray(_cut(images[rng.integers(len(images))], 100, rng))
        if window[8:-8, 8:-8].max() > 60:
            return window


def _cut(image: Image.Image, largest: int, rng: np.random.Generator) -> Image.Image:
    """A square of 20 px or more from somewhere in an image, turned by any angle."""
    side = float(np.exp(rng.uniform(np.log(20), np.log(largest))))
    around = 1.5 * side  # whichever way it is turned
    x, y = (float(rng.uniform(side / 2, whole - side / 2)) for whole in image.size)
    left, top = round(x - around / 2), round(y - around / 2)
    crop = image.crop((left, top, left + round(around), top + round(around)))
    small = crop.resize((INPUT_SIDE * 3 // 2,) * 2, Image.Resampling.BILINEAR)
    turned = small.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    return turned.crop(
        (
            INPUT_SIDE // 4,
            INPUT_SIDE // 4,
            INPUT_SIDE // 4 + INPUT_SIDE,
            INPUT_SIDE // 4 + INPUT_SIDE,
        )
    )


def _inverted(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.invert(image) if rng.random() < 0.5 else image


def _contrasted(image: Image.Image, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    window = np.asarray(image, np.float64)
    contrast = np.exp(rng.uniform(np.log(0.15), np.log(2)))
    middle = rng.uniform(window.min(), window.max() + 1)
    return (middle + contrast * (window - middle)).clip(0, 255).astype(np.uint8)
