"""Images with several digits, composed from MNIST, and where each digit is."""

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from digits_jax.data.camera import photograph_page, photograph_textured
from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.images.box_iou import box_iou
from digits_jax.images.ink import mask_to_box
from digits_jax.runtime.errors import ArgumentError

TRIES = 100  # at a place for one digit, before the layout starts over
REFUSED_IOU = 0.25  # of a digit's square with an earlier digit's box, where digits may overlap


class Scene(NamedTuple):
    """An image, and its digits in the order they were drawn.

    `boxes_xyxy` holds the tight box of each digit's own non-zero pixels as drawn, whatever other
    digit covers them: x0, y0, x1, y1 in pixels, x1 and y1 exclusive, all of it inside the image.
    `labels` are 0 to 9.
    """

    image: UInt8[np.ndarray, "h w *channels"]  # grey, ink bright on black; or a photograph
    boxes_xyxy: Int64[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]


class _Family(NamedTuple):
    size: int  # height and width of the image, pixels
    counts: tuple[int, int]  # fewest and most digits
    sides: tuple[int, int]  # shortest and longest side of a digit's square, pixels
    apart: bool  # no two squares share a pixel
    photographed: Callable[..., UInt8[np.ndarray, "h w 3"]] | None = None  # what becomes of the ink


class _Drawn(NamedTuple):
    ink: UInt8[np.ndarray, "side side"]
    square: Int64[np.ndarray, "4"]
    box: Int64[np.ndarray, "4"]


_FAMILIES = {
    "native": _Family(size=140, counts=(3, 8), sides=(28, 28), apart=True),
    "savi-d": _Family(size=128, counts=(3, 5), sides=(22, 36), apart=True),
    "mnist-od": _Family(size=300, counts=(1, 20), sides=(15, 99), apart=False),
    "page": _Family(300, counts=(3, 10), sides=(24, 64), apart=True, photographed=photograph_page),
    "coloured": _Family(
        300, counts=(3, 10), sides=(24, 64), apart=True, photographed=photograph_textured
    ),
}
SCENE_DATASETS = tuple(_FAMILIES)
SPLITS = Mnist._fields


def compose(
    family: str, split: str, count: int, seed: int, *, mnist: Mnist | None = None
) -> list[Scene]:
    """Composes scenes from the digits of one split; the same arguments give the same scenes.

    Number, side and position of the digits are uniform over:

    - `native`: 140 × 140 px, 3 to 8 digits of 28 px, the squares apart;
    - `savi-d`: 128 × 128 px, 3 to 5 digits of 22 to 36 px, the squares apart;
    - `mnist-od`: 300 × 300 px, 1 to 20 digits of 15 to 99 px. Ink adds up to 255. A digit is given
      another side and position while its square has an IoU of 0.25 or more with the box of an
      earlier digit;
    - `page`: 300 × 300 px, 3 to 10 digits of 24 to 64 px, the squares apart, in dark ink on light
      paper as a camera sees it (`camera.photograph_page`);
    - `coloured`: the same, faint on a background of flowing colours (`camera.photograph_textured`).

    Args:
        family: one of `SCENE_DATASETS`.
        split: of MNIST, whose digits alone are drawn: `train`, `validation` or `test`.
        count: how many scenes; scene i is the same whatever the count.
        seed: 0 or more.
        mnist: the digits, loaded if it is None.

    Raises:
        ValueError: there is no such family or split, or the seed is negative.
    """
    if family not in SCENE_DATASETS:
        raise ArgumentError(
            f"the family must be one of {', '.join(SCENE_DATASETS)}, got {family!r}"
        )
    if split not in SPLITS:
        raise ArgumentError(f"the split must be one of {', '.join(SPLITS)}, got {split!r}")
    if mnist is None:
        mnist = load_mnist(say=lambda line: None)
    digits: Dataset = getattr(mnist, split)
    stream = crc32(f"{family}/{split}".encode())  # unlike hash(), the same in every process
    seeds = (np.random.SeedSequence([seed, stream, index]) for index in range(count))
    return [_scene(np.random.default_rng(one), _FAMILIES[family], digits) for one in seeds]


def _scene(rng: np.random.Generator, family: _Family, digits: Dataset) -> Scene:
    count = rng.integers(*family.counts, endpoint=True)
    chosen = rng.integers(len(digits.labels), size=count)
    sides = rng.integers(*family.sides, endpoint=True, size=count)
    images = np.asarray(digits.images[chosen])
    # Number and sides stay when a layout starts over: new ones would favour few and small digits.
    # It comes to an end: a layout of every family mostly succeeds the first time.
    while (drawn := _lay_out(rng, family, images, sides)) is None:
        pass
    canvas = np.zeros((family.size, family.size), np.int64)
    for ink, (x0, y0, x1, y1), _ in drawn:
        canvas[y0:y1, x0:x1] += ink
    ink = canvas.clip(max=255).astype(np.uint8)
    return Scene(
        ink if family.photographed is None else family.photographed(ink, rng),
        np.stack([digit.box for digit in drawn]),
        np.asarray(digits.labels[chosen], np.int64),
    )


def _lay_out(
    rng: np.random.Generator,
    family: _Family,
    images: UInt8[np.ndarray, "n 28 28"],
    sides: Int64[np.ndarray, " n"],
) -> list[_Drawn] | None:
    # None where a digit finds no place among those before it.
    drawn: list[_Drawn] = []
    for image, side in zip(images, sides, strict=True):
        for _ in range(TRIES):
            corner = rng.integers(family.size - side, endpoint=True, size=2)
            square = np.concatenate([corner, corner + side])
            if not _refused(square, drawn, family.apart):
                break
            if not family.apart:
                side = rng.integers(*family.sides, endpoint=True)
        else:
            return None
        drawn.append(_draw(image, square))
    return drawn


def _refused(square: Int64[np.ndarray, "4"], drawn: list[_Drawn], apart: bool) -> bool:
    if not drawn:
        return False
    before = np.stack([digit.square if apart else digit.box for digit in drawn])
    largest = box_iou(square[None], before).max()
    return bool(largest > 0 if apart else largest >= REFUSED_IOU)


def _draw(image: UInt8[np.ndarray, "28 28"], square: Int64[np.ndarray, "4"]) -> _Drawn:
    x0, y0, x1, y1 = square.tolist()
    resized = Image.fromarray(image).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
    ink = np.asarray(resized)
    return _Drawn(ink, square, mask_to_box(ink > 0) + np.array([x0, y0, x0, y0]))
