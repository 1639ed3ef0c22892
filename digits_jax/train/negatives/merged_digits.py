"""Components of several digits: digits that touch side by side, and digits that overlap."""

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.images.box_iou import box_iou
from digits_jax.train.negatives.components import (
    INK,
    crop_to_ink,
    frame_component,
    largest_component,
)

Picture = UInt8[np.ndarray, "_ _"]
SampleDigit = Callable[[], UInt8[np.ndarray, "28 28"]]

MAX_SIDE = 60.0  # px of the higher digit: a higher one looks the same in its frame
MIN_SIDE = 15.0  # px of the lower digit
MAX_RATIO = 3.0  # of the two heights: beside a much higher digit, the other is a mere spot
MAX_IOU = 0.25  # of the two digits' boxes
MIN_OWN_INK = 0.12  # share of all the ink that each of the digits has for itself
TRIPLES = 0.2  # share of the rows that have three digits


def draw_row(sample: SampleDigit, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws two or three digits side by side, each touching the next, and frames them as one."""
    while True:
        height = rng.uniform(MIN_SIDE, 45)
        count = 3 if rng.random() < TRIPLES else 2
        row = _scale_digit(sample(), height * rng.uniform(0.75, 1.25))
        for _ in range(count - 1):
            row = _append(row, _scale_digit(sample(), height * rng.uniform(0.75, 1.25)), rng)
        mask = largest_component(row)
        if mask.sum() > 0.9 * (row > INK).sum():  # all of them are connected
            return frame_component(row, mask, int(rng.integers(2)))


def draw_overlap(sample: SampleDigit, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws two digits of any sizes that overlap a little in any direction, and frames them as one.

    The boxes' intersection over union is below `MAX_IOU`, ink is added and clipped, and both are in
    one component.
    """
    while True:
        height = np.exp(rng.uniform(np.log(MIN_SIDE), np.log(MAX_SIDE)))
        other = max(MIN_SIDE, height / np.exp(rng.uniform(0, np.log(MAX_RATIO))))
        first, second = _scale_digit(sample(), height), _scale_digit(sample(), other)
        for _ in range(20):
            pair = _place_overlapping(first, second, rng)
            if pair is not None:
                return frame_component(*pair, int(rng.integers(2)))


def _place_overlapping(
    first: Picture, second: Picture, rng: np.random.Generator
) -> tuple[Picture, np.ndarray] | None:
    """Returns an image of both at a random offset and its component, or None if that is no pair."""
    (h1, w1), (h2, w2) = first.shape, second.shape
    y, x = int(rng.integers(-h2, h1 + 1)), int(rng.integers(-w2, w1 + 1))
    boxes = np.array([[0, 0, w1, h1], [x, y, x + w2, y + h2]], np.float64)
    if box_iou(boxes[:1], boxes[1:])[0, 0] >= MAX_IOU:
        return None
    image, own = _paste_both(first, second, y, x)
    total = (image > INK).sum()
    if own.min() < MIN_OWN_INK * total:
        return None
    mask = largest_component(image)
    return (image, mask) if mask.sum() > 0.95 * total else None


def _paste_both(first: Picture, second: Picture, y: int, x: int) -> tuple[Picture, np.ndarray]:
    """Returns both pictures in one, and how many px of ink each has for itself."""
    (h1, w1), (h2, w2) = first.shape, second.shape
    top, left = min(0, y), min(0, x)
    shape = (max(h1, y + h2) - top, max(w1, x + w2) - left)
    layers = np.zeros((2, *shape), np.uint16)
    layers[0, -top : h1 - top, -left : w1 - left] = first
    layers[1, y - top : y - top + h2, x - left : x - left + w2] = second
    ink = layers > INK
    own = np.array([(ink[0] & ~ink[1]).sum(), (ink[1] & ~ink[0]).sum()])
    return np.minimum(layers.sum(axis=0), 255).astype(np.uint8), own


def _append(row: Picture, digit: Picture, rng: np.random.Generator) -> Picture:
    """Moves a digit from the right until it touches the row, or up to 2 px farther."""
    (h1, w1), (h2, w2) = row.shape, digit.shape
    y = round((h1 - h2) / 2 + rng.uniform(-0.25, 0.25) * h1)
    top, bottom = max(0, y), min(h1, y + h2)
    right = _free_px(row[top:bottom, ::-1])
    left = _free_px(digit[top - y : bottom - y])
    gap = int((right + left).min()) if bottom > top else 0
    return _paste_both(row, digit, y, w1 - min(gap + int(rng.integers(0, 3)), w1 + w2))[0]


def _free_px(picture: Picture) -> np.ndarray:
    """Returns how many px of each row are free of ink, from the left."""
    ink = picture > INK
    return np.where(ink.any(axis=1), ink.argmax(axis=1), picture.shape[1])


def _scale_digit(digit: UInt8[np.ndarray, "28 28"], height: float) -> Picture:
    """Returns a digit's ink at a height in px, as wide as the proportions demand."""
    ink = crop_to_ink(digit)
    factor = height / max(ink.shape)
    size = (max(2, round(ink.shape[1] * factor)), max(2, round(ink.shape[0] * factor)))
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))
