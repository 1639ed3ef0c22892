"""Negative pictures full of edges and shades of grey, as parts of photographs are."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import INPUT_SIDE

COUNT = 1024  # pictures of each kind, and twice as many of the two kinds that are normalised
CLUTTER_COUNT = 7 * COUNT
SEED = 2018
SUPERSAMPLING = 4  # drawings are made at four times the size and averaged down
SCENE_COUNT, SCENE_SIDE = 48, 300  # large drawings of dead leaves, and their side in px
SCENE_LEAVES = 350  # in each of them


@lru_cache(maxsize=1)
def draw_clutter() -> UInt8[np.ndarray, "n 28 28"]:
    """Draws 7,168 pictures, the same on every call.

    One seventh each are

    - dead leaves (Lee, Mumford and Huang, 2001): shapes of many sizes, each of its own grey, that
      cover each other; here the sharpness of their edges and their contrast vary;
    - crops of 20 to 300 px from photographs, rotated by any angle, half of them inverted;
    - strokes of any slope that begin outside the picture, which a 1 does not;

    and two sevenths each

    - crops from larger drawings of dead leaves, and
    - crops from the photographs, both after `normalise`, which keeps what differs from its
      surroundings.
    """
    rng = np.random.default_rng(SEED)
    photographs = load_photographs()
    grey_photographs = [photograph.convert("L") for photograph in photographs]
    large_leaves = (
        _draw_leaves(rng, INPUT_SIDE * SUPERSAMPLING, int(rng.integers(2, 20)))
        for _ in range(COUNT)
    )
    leaves = [_shrink_to_input(drawing) for drawing in large_leaves]
    crops = [
        _invert_half(_crop_randomly(photograph, 300, rng), rng)
        for photograph in islice(cycle(grey_photographs), COUNT)
    ]
    strokes = (_shrink_to_input(_draw_strokes(rng)) for _ in range(COUNT))
    scales = (0.3, 0.5, 0.7, 1.0, 1.4)
    scaled = [_resize(photograph, scale) for photograph in photographs for scale in scales]
    scenes = [_draw_leaves(rng, SCENE_SIDE, SCENE_LEAVES) for _ in range(SCENE_COUNT)]
    # Medians take half of the time; threads help because they release Python's lock.
    with ThreadPoolExecutor() as pool:
        scenes = list(pool.map(_normalise_image, scenes))
        scaled = list(pool.map(_normalise_image, scaled))
    return np.stack(
        [_vary_contrast(picture, rng) for picture in leaves + crops]
        + [np.asarray(picture) for picture in strokes]
        + [_crop_with_ink(images, rng) for images in (scenes, scaled) for _ in range(2 * COUNT)]
    )


def _shrink_to_input(drawing: Image.Image) -> Image.Image:
    return drawing.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BOX)


def _draw_leaves(rng: np.random.Generator, side: int, count: int) -> Image.Image:
    """Draws polygons and ellipses that cover each other, a twentieth of them with stripes."""
    canvas = Image.new("L", (side, side), int(255 * rng.random() ** 2))
    draw = ImageDraw.Draw(canvas)
    for _ in range(count):
        radius = INPUT_SIDE * SUPERSAMPLING * 0.06 * (1 + rng.pareto(1.2))
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.choice([3, 4, 5, 24])))
        across, down = radius * rng.uniform(0.2, 1.5, 2)
        x, y = rng.uniform(-radius / 2, side + radius / 2, 2)
        path = np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], -1)
        grey = int(255 * rng.random() ** 2)
        draw.polygon([tuple(p) for p in path.tolist()], fill=grey)
        if rng.random() < 0.05:  # stripes
            gap, (u, v) = rng.uniform(3, 12) * SUPERSAMPLING, rng.normal(size=2)
            for distance in np.arange(-2 * side, 2 * side, gap):
                shift = distance * np.array([u, v]) / np.hypot(u, v)
                middle = np.array([side / 2, side / 2]) + shift
                ends = [tuple((middle + t * np.array([-v, u])).tolist()) for t in (-side, side)]
                draw.line(ends, fill=grey, width=int(gap * rng.uniform(0.3, 0.7)))
    return canvas.filter(ImageFilter.GaussianBlur(float(rng.exponential(0.8)) * SUPERSAMPLING))


def _draw_strokes(rng: np.random.Generator) -> Image.Image:
    """Draws one to three slightly bent strokes on black, each beginning outside the picture."""
    canvas = Image.new("L", (INPUT_SIDE * SUPERSAMPLING, INPUT_SIDE * SUPERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):
        angle, curvature = rng.uniform(0, 2 * np.pi), rng.normal() * 0.01
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle = INPUT_SIDE / 2 + across * rng.normal() * 6
        end = 25.0 if rng.random() < 0.5 else rng.uniform(-6, 8)
        t = np.linspace(-25, end, 20)[:, None]
        path = SUPERSAMPLING * (middle + along * t + across * curvature * t**2)
        width = max(int(rng.uniform(1, 7) * SUPERSAMPLING), 1)
        draw.line([tuple(p) for p in path.tolist()], fill=int(rng.integers(60, 256)), width=width)
    return canvas.filter(ImageFilter.GaussianBlur(float(rng.exponential(0.5)) * SUPERSAMPLING))


def load_photographs() -> list[Image.Image]:
    """Loads three photographs of other packages: a portrait, a man on stairs, fields from the air.

    Grace Hopper by James S. Davis (1984), which is in the public domain and in Matplotlib;
    `ascent`, in the public domain, and `aero` of PyWavelets, which is under the MIT licence.
    """
    # Imported here: they are slow to import, and only drawing needs them.
    from matplotlib import get_data_path
    from pywt import data

    with Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg") as file:
        portrait = file.convert("RGB")
    others = (Image.fromarray(load().astype(np.uint8)) for load in (data.ascent, data.aero))
    return [portrait, *others]


def _resize(image: Image.Image, scale: float) -> Image.Image:
    width, height = (int(side * scale) + 1 for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _normalise_image(image: Image.Image) -> Image.Image:
    return Image.fromarray(normalise(np.asarray(image)))


def _crop_with_ink(
    images: list[Image.Image], rng: np.random.Generator
) -> UInt8[np.ndarray, "28 28"]:
    """Crops up to 100 px from one of the images, such that there is ink in the middle."""
    while True:
        crop = np.asarray(_crop_randomly(images[rng.integers(len(images))], 100, rng))
        if crop[8:-8, 8:-8].max() > 60:
            return crop


def _crop_randomly(image: Image.Image, max_side: int, rng: np.random.Generator) -> Image.Image:
    """Crops a square from anywhere in an image, rotated by any angle, and resizes it to 28×28 px.

    The square's side is log-uniform between 20 px and `max_side`.
    """
    side = float(np.exp(rng.uniform(np.log(20), np.log(max_side))))
    outer_side = 1.5 * side  # contains the square at every angle
    x, y = (float(rng.uniform(side / 2, length - side / 2)) for length in image.size)
    left, top = round(x - outer_side / 2), round(y - outer_side / 2)
    crop = image.crop((left, top, left + round(outer_side), top + round(outer_side)))
    small = crop.resize((INPUT_SIDE * 3 // 2,) * 2, Image.Resampling.BILINEAR)
    rotated = small.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    low, high = INPUT_SIDE // 4, INPUT_SIDE // 4 + INPUT_SIDE
    return rotated.crop((low, low, high, high))


def _invert_half(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Inverts the image with probability one half."""
    return ImageOps.invert(image) if rng.random() < 0.5 else image


def _vary_contrast(image: Image.Image, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Multiplies the contrast by a factor that is log-uniform in 0.15–2."""
    picture = np.asarray(image, np.float64)
    contrast = np.exp(rng.uniform(np.log(0.15), np.log(2)))
    middle = rng.uniform(picture.min(), picture.max() + 1)
    return (middle + contrast * (picture - middle)).clip(0, 255).astype(np.uint8)
