"""Pages of real digits that the network reads rightly and surely, whatever its weights are."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from digits_jax.data.mnist import Dataset
from digits_jax.detect.components import find_components
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crop_classifier import classify_block, crop_classifier
from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.mnist_format import frame_ink
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import Params

MIN_MARGIN = 0.995  # such digits are sure
TRIES = 24  # digits that are tried for each place


class Digit(NamedTuple):
    """A digit on black, without a border."""

    ink: np.ndarray  # [h, w] uint8
    label: int


class Page(NamedTuple):
    """A page of digits."""

    image: np.ndarray  # [h, w] uint8, ink bright
    boxes_xyxy: np.ndarray  # [n, 4] px, tight around the ink
    labels: np.ndarray  # [n]


class ClearDigits:
    """Chooses digits of one component that the network, framing them, reads with a high margin."""

    def __init__(self, params: Params, digits: Dataset):
        program = partial(classify_block, contact=DEFAULT_CONFIG.border_contact)
        self._read = crop_classifier(params, program)
        self._digits = digits

    def of_sides(
        self, sides: Sequence[int], *, label: int | None = None, first: int = 0
    ) -> list[Digit]:
        """Returns a digit for each length of the longer side in px.

        Args:
          sides: the lengths.
          label: the class of all of them; None for any.
          first: how many digits of the data are left out.
        """
        labels = np.asarray(self._digits.labels)
        numbers = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
        numbers = numbers[first:]
        tried = [
            Digit(_scale(np.asarray(self._digits.images[number]), side), int(labels[number]))
            for k, side in enumerate(sides)
            for number in numbers[TRIES * k : TRIES * (k + 1)]
        ]
        readings = self._read([np.stack([uint8_to_float(frame_ink(d.ink)) for d in tried])])
        right = readings.labels == [digit.label for digit in tried]
        clear = right & (readings.margins >= MIN_MARGIN) & [_is_one(d.ink) for d in tried]
        assert clear.reshape(-1, TRIES).any(axis=1).all()
        best = clear.reshape(-1, TRIES).argmax(axis=1)
        return [tried[TRIES * k + j] for k, j in enumerate(best.tolist())]

    def margins(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the margins `[n]` with which the network reads the ink of images, framed."""
        return self._read([np.stack([uint8_to_float(frame_ink(ink)) for ink in images])]).margins


def page_of(digits: Sequence[Digit], *, columns: int, gap: int = 8) -> Page:
    """Returns a page with digits in rows, `gap` px apart at least, in cells of one size."""
    cell = max(max(digit.ink.shape) for digit in digits) + gap
    image = np.zeros((cell * -(-len(digits) // columns), cell * columns), np.uint8)
    boxes = []
    for k, digit in enumerate(digits):
        y, x = (cell * number + gap // 2 for number in divmod(k, columns))
        height, width = digit.ink.shape
        image[y : y + height, x : x + width] = digit.ink
        boxes.append(ink_box(digit.ink) + np.array([x, y, x, y]))
    return Page(image, np.array(boxes), np.array([digit.label for digit in digits]))


def touching(left: Digit, right: Digit) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture of two digits, pushed together until they touch, and their boxes."""
    inks = []
    for digit in (left, right):
        x0, y0, x1, y1 = ink_box(digit.ink)
        inks.append(digit.ink[y0:y1, x0:x1])
    for x in range(20 + inks[0].shape[1], 20, -1):
        image = np.zeros((80, x + inks[1].shape[1] + 20), np.uint8)
        boxes = []
        for ink, begin in zip(inks, (20, x), strict=True):
            place = image[20 : 20 + len(ink), begin : begin + ink.shape[1]]
            np.maximum(place, ink, out=place)
            boxes.append([begin, 20, begin + ink.shape[1], 20 + len(ink)])
        if len(find_components(image, DEFAULT_CONFIG.components.ink_threshold, 2.0)) == 1:
            break
    return image, np.array(boxes)


def ink_box(image: np.ndarray) -> np.ndarray:
    """Returns the tight box of what counts as ink in components."""
    return mask_to_box(_mask(image))


def _mask(image: np.ndarray) -> np.ndarray:
    return image > DEFAULT_CONFIG.components.ink_threshold * 255


def _is_one(image: np.ndarray) -> bool:
    return ndimage.label(_mask(image), np.ones((3, 3)))[1] == 1


def _scale(digit: np.ndarray, side: int) -> np.ndarray:
    """Crops an image of MNIST to its ink, and scales this to a length of its longer side."""
    x0, y0, x1, y1 = mask_to_box(digit > 0)
    crop = Image.fromarray(digit[y0:y1, x0:x1])
    factor = side / max(crop.size)
    size = (max(1, round(crop.width * factor)), max(1, round(crop.height * factor)))
    return np.asarray(crop.resize(size, Image.Resampling.BICUBIC))
