"""Large images of MNIST's digits with known boxes: phone photographs, scans, separated digits.

Digits of photographs and scans are redrawn with a pen: enlarged smoothly, thinned to the middle of
their strokes, and drawn along it with a round tip. Equal arguments give equal images.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from PIL import Image
from scipy import ndimage

from digits_jax.data.camera import (
    draw_illumination,
    draw_page_colours,
    draw_shadow,
    encode_jpeg,
    expose,
)
from digits_jax.data.mnist import Dataset, load_mnist
from digits_jax.data.scenes import Scene
from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.read import read_image

PHOTO_SHAPE = (3264, 2448)  # px, height and width: 8 megapixels
PHOTO_DIGITS = (10, 30)  # fewest and most
PHOTO_HEIGHTS = (150, 400)  # px of a digit
SCAN_SHAPE = (3508, 2480)  # px: A4 at 300 dpi
SCAN_DIGITS = 200
SCAN_HEIGHTS = (50, 90)  # px of a digit
SCAN_LINE = 10  # digits in a line
PAGE_DIGITS = {300: 9, 550: 30, 1000: 100}  # side of a page of separated digits, px: digits
PAGE_DIGIT_SIDES = (28, 64)  # px of a digit's square
CELL_GAP = 4  # px between the squares of separated digits
PEN_WIDTHS = {"photo": (0.04, 0.12), "scan": (0.05, 0.09)}  # shares of a digit's height
INK_LEVEL = 60  # of 255: what of MNIST's digits is enlarged
STROKE_LEVEL, STROKE_BLUR_PX = 100, 0.25  # of 255; px of MNIST's images: what is thinned
SCAN_BLUR_PX, SCAN_NOISE = 0.6, 0.012  # a scanner's blur, sigma; its noise, standard deviation
HEIGHT_SPREAD = (0.85, 1.15)  # a digit's height ÷ its page's
# In heights of the page's digits: the margin and, from least to most, the distance of lines, the
# gap between digits, and how far they stand off their line.
MARGIN, LINE_PITCH, GAP, OFF_LINE = 0.4, (1.4, 1.9), (0.15, 1.0), (-0.1, 0.1)


class _PenDigit(NamedTuple):
    ink: UInt8[np.ndarray, "h w"]  # cropped to its ink
    label: int


def draw_separated_page(side: int, seed: int, split: str = "test") -> Scene:
    """Draws 9, 30 or 100 digits on black, one in each of some cells of a grid.

    Args:
      side: height and width of the page, one of `PAGE_DIGITS`, px.
      seed: 0 or more.
      split: the split of MNIST whose digits are drawn.
    """
    rng, digits = _generator(f"separated {side}", seed, split), _load_digits(split)
    count = PAGE_DIGITS[side]
    columns = int(np.ceil(np.sqrt(count)))
    cell = side // columns
    largest = min(PAGE_DIGIT_SIDES[1], cell - CELL_GAP)
    canvas, boxes, labels = np.zeros((side, side), np.uint8), [], []
    for number in rng.permutation(columns**2)[:count].tolist():
        index = int(rng.integers(len(digits.labels)))
        size = int(rng.integers(PAGE_DIGIT_SIDES[0], largest, endpoint=True))
        image = Image.fromarray(np.asarray(digits.images[index]))
        ink = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        x, y = (
            cell * k + int(rng.integers(cell - size)) for k in (number % columns, number // columns)
        )
        canvas[y : y + size, x : x + size] = ink
        boxes.append(mask_to_box(ink > 0) + np.array([x, y, x, y]))
        labels.append(int(digits.labels[index]))
    return Scene(canvas, np.stack(boxes), np.array(labels))


def draw_phone_photo(seed: int, split: str = "test") -> tuple[Scene, bytes]:
    """Draws a photograph of 8 megapixels of 10 to 30 digits, 150 to 400 px high, on paper.

    The light is uneven, there may be a shadow, and the sensor's noise and JPEG compression are
    those of `digits_jax.data.camera`.

    Args:
      seed: 0 or more.
      split: the split of MNIST whose digits are drawn.

    Returns:
      The photograph as it is read, with its boxes and labels, and the JPEG file.
    """
    rng, digits = _generator("photo", seed, split), _load_digits(split)
    height = float(rng.uniform(*PHOTO_HEIGHTS))
    count = int(rng.integers(*PHOTO_DIGITS, endpoint=True))
    pens = _draw_digits(rng, digits, count, height, PHOTO_HEIGHTS, "photo")
    ink, boxes, labels = _write_lines(rng, PHOTO_SHAPE, pens, line_length=None)
    light = draw_illumination(PHOTO_SHAPE, rng) * draw_shadow(PHOTO_SHAPE, rng)
    picture = _colour_ink(rng, ink) * light[..., None]
    file = encode_jpeg(expose(picture, rng), rng)
    return Scene(read_image(file, colour=True), boxes, labels), file


def draw_a4_scan(seed: int, split: str = "test") -> tuple[Scene, bytes]:
    """Draws a scan of an A4 page at 300 dpi with 200 digits, 50 to 90 px high, in lines.

    Args and returns: as for `draw_phone_photo`.
    """
    rng, digits = _generator("scan", seed, split), _load_digits(split)
    height = float(rng.uniform(*SCAN_HEIGHTS))
    pens = _draw_digits(rng, digits, SCAN_DIGITS, height, SCAN_HEIGHTS, "scan")
    ink, boxes, labels = _write_lines(rng, SCAN_SHAPE, pens, line_length=SCAN_LINE)
    picture = ndimage.gaussian_filter(_colour_ink(rng, ink), (SCAN_BLUR_PX, SCAN_BLUR_PX, 0))
    picture += SCAN_NOISE * rng.normal(size=picture.shape)
    file = encode_jpeg(np.rint(255 * picture.clip(0, 1)).astype(np.uint8), rng)
    return Scene(read_image(file, colour=True), boxes, labels), file


def draw_with_pen(
    image: UInt8[np.ndarray, "28 28"], height: int, pen_px: float
) -> UInt8[np.ndarray, "h w"]:
    """Redraws one of MNIST's digits with a round pen, cropped to its ink.

    Args:
      image: bright on black.
      height: of the ink, px.
      pen_px: width of the strokes, px.
    """
    from skimage.morphology import skeletonize

    x0, y0, x1, y1 = mask_to_box(image > INK_LEVEL)
    digit = np.pad(image[y0:y1, x0:x1], 2).astype(np.float32)
    scale = max(height - pen_px, 1) / (y1 - y0 - 1)  # middle lines end half a pen inside the ink
    smooth = ndimage.zoom(digit, scale, order=3)
    smooth = ndimage.gaussian_filter(smooth, STROKE_BLUR_PX * scale)
    middle = np.pad(skeletonize(smooth > STROKE_LEVEL), int(pen_px) + 2)
    ink = pen_px / 2 + 0.5 - ndimage.distance_transform_edt(~middle)
    drawn = np.rint(255 * ink.clip(0, 1)).astype(np.uint8)
    x0, y0, x1, y1 = mask_to_box(drawn > 0)
    return drawn[y0:y1, x0:x1]


def _draw_digits(
    rng: np.random.Generator,
    digits: Dataset,
    count: int,
    height: float,
    limits: tuple[int, int],
    kind: str,
) -> list[_PenDigit]:
    """Draws digits of about one height with one pen."""
    pen_px = height * float(rng.uniform(*PEN_WIDTHS[kind]))
    drawn = []
    for index in rng.integers(len(digits.labels), size=count).tolist():
        own_height = round(float(np.clip(height * rng.uniform(*HEIGHT_SPREAD), *limits)))
        ink = draw_with_pen(np.asarray(digits.images[index]), own_height, pen_px)
        drawn.append(_PenDigit(ink, int(digits.labels[index])))
    return drawn


def _write_lines(
    rng: np.random.Generator,
    shape: tuple[int, int],
    digits: Sequence[_PenDigit],
    line_length: int | None,
) -> tuple[UInt8[np.ndarray, "h w"], Int64[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """Writes digits in lines from the top, until the page is full.

    Returns:
      The ink, bright on black, and the boxes and labels of the digits that found room.
    """
    canvas, boxes, labels = np.zeros(shape, np.uint8), [], []
    unit = float(np.median([len(digit.ink) for digit in digits]))
    left = x = MARGIN * unit
    y, in_line = (MARGIN - OFF_LINE[0]) * unit, 0
    pitch = float(rng.uniform(*LINE_PITCH)) * unit
    for ink, label in digits:
        height, width = ink.shape
        if in_line == line_length or x + width > shape[1] - left:
            x, y, in_line = left + float(rng.uniform(*GAP)) * unit, y + pitch, 0
        x0, y0 = round(x), round(y + float(rng.uniform(*OFF_LINE)) * unit)
        if y0 + height > shape[0]:
            break
        canvas[y0 : y0 + height, x0 : x0 + width] = ink
        boxes.append([x0, y0, x0 + width, y0 + height])
        labels.append(label)
        x, in_line = x + width + float(rng.uniform(*GAP)) * unit, in_line + 1
    return canvas, np.array(boxes), np.array(labels)


def _colour_ink(
    rng: np.random.Generator, ink: UInt8[np.ndarray, "h w"]
) -> Float64[np.ndarray, "h w 3"]:
    """Draws the ink in a pen's colour on paper; both are 0–1."""
    paper, pen = draw_page_colours(rng)
    opacity = (ink / 255.0)[..., None]
    return paper * (1 - opacity) + pen * opacity


def _generator(kind: str, seed: int, split: str) -> np.random.Generator:
    stream = crc32(f"{kind}/{split}".encode())  # hash() varies by process
    return np.random.default_rng(np.random.SeedSequence([seed, stream]))


def _load_digits(split: str) -> Dataset:
    digits: Dataset = getattr(load_mnist(log=lambda line: None), split)
    return digits
