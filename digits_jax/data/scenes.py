"""Scene datasets: labelled images with several digits each, composed from MNIST."""

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from digits_jax.data.camera import photograph_page, photograph_textured
from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.images.box_iou import box_iou
from digits_jax.images.mask_box import mask_to_box
from digits_jax.runtime.errors import ArgumentError

MAX_TRIES = 100  # positions tried for a digit before the layout starts over
# Where digits may overlap, a digit's square has an IoU below this with each earlier digit's box.
REFUSED_IOU = 0.25


class Scene(NamedTuple):
    """An image, and its digits in the order in which they were drawn.

    `boxes_xyxy` holds the tight box of each digit's own non-zero pixels as drawn, even if a later
    digit covers them: x0, y0, x1, y1 in pixels, x1 and y1 exclusive, inside the image. `labels`
    are 0 to 9.
    """

    image: UInt8[np.ndarray, "h w *channels"]  # grey, ink bright on black; or a photograph
    boxes_xyxy: Int64[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]


class SceneSpec(NamedTuple):
    """The sizes and numbers of the scenes of a dataset, and how they are rendered."""

    image_side: int  # height and width of the image, pixels
    digit_counts: tuple[int, int]  # fewest and most digits
    digit_sides: tuple[int, int]  # shortest and longest side of a digit's square, pixels
    disjoint: bool  # no two squares share a pixel
    photograph: Callable[..., UInt8[np.ndarray, "h w 3"]] | None = None  # renders the ink
    seed_name: str | None = None  # seeds the random stream instead of the dataset's name


class _DrawnDigit(NamedTuple):
    ink: UInt8[np.ndarray, "side side"]
    square: Int64[np.ndarray, "4"]
    box: Int64[np.ndarray, "4"]


_SPECS = {
    "native": SceneSpec(140, digit_counts=(3, 8), digit_sides=(28, 28), disjoint=True),
    "savi-d": SceneSpec(128, digit_counts=(3, 5), digit_sides=(22, 36), disjoint=True),
    "mnist-od": SceneSpec(300, digit_counts=(1, 20), digit_sides=(15, 99), disjoint=False),
    "page": SceneSpec(
        300, digit_counts=(3, 10), digit_sides=(24, 64), disjoint=True, photograph=photograph_page
    ),
    "textured": SceneSpec(
        300,
        digit_counts=(3, 10),
        digit_sides=(24, 64),
        disjoint=True,
        photograph=photograph_textured,
        seed_name="coloured",  # its former name, so that its scenes stay the same
    ),
}
SCENE_DATASETS = tuple(_SPECS)
DATASET_ALIASES = {"coloured": "textured"}
SPLITS = Mnist._fields


def canonical_dataset(name: str) -> str:
    """Returns the name in `SCENE_DATASETS` of a dataset that is given by its name or an alias.

    Raises:
      ArgumentError: there is no such dataset.
    """
    canonical = DATASET_ALIASES.get(name, name)
    if canonical not in SCENE_DATASETS:
        raise ArgumentError(f"the dataset must be one of {', '.join(SCENE_DATASETS)}, got {name!r}")
    return canonical


def compose(
    dataset: str,
    split: str,
    count: int,
    seed: int,
    *,
    mnist: Mnist | None = None,
    max_tries: int = MAX_TRIES,
) -> list[Scene]:
    """Composes scenes from the digits of one split; equal arguments give equal scenes.

    The number, side and position of the digits are uniformly distributed:

    - `native`: 140 × 140 px, 3 to 8 digits of 28 px, disjoint squares;
    - `savi-d`: 128 × 128 px, 3 to 5 digits of 22 to 36 px, disjoint squares;
    - `mnist-od`: 300 × 300 px, 1 to 20 digits of 15 to 99 px. Ink adds up to at most 255. A digit's
      side and position are drawn again while its square has an IoU of 0.25 or more with the box of
      an earlier digit;
    - `page`: 300 × 300 px, 3 to 10 digits of 24 to 64 px, disjoint squares, photographed in dark
      ink on light paper (`camera.photograph_page`);
    - `textured`: the same, photographed in faint ink on a background of smoothly changing colours
      (`camera.photograph_textured`).

    Args:
      dataset: one of `SCENE_DATASETS`, or an alias in `DATASET_ALIASES`.
      split: the split of MNIST whose digits are drawn: `train`, `validation` or `test`.
      count: how many scenes; scene i is the same for any count.
      seed: 0 or more.
      mnist: the digits; None for those of `load_mnist()`.
      max_tries: positions tried for a digit before the layout starts over.

    Returns:
      The scenes: `[h, w]` uint8 images, or `[h, w, 3]` of photographed datasets, with their boxes
      and labels.

    Raises:
      ArgumentError: there is no such dataset or split.
      ValueError: the seed is negative.
    """
    dataset = canonical_dataset(dataset)
    if split not in SPLITS:
        raise ArgumentError(f"the split must be one of {', '.join(SPLITS)}, got {split!r}")
    if mnist is None:
        mnist = load_mnist(log=lambda line: None)
    digits: Dataset = getattr(mnist, split)
    spec = _SPECS[dataset]
    stream = crc32(f"{spec.seed_name or dataset}/{split}".encode())  # hash() varies by process
    seeds = (np.random.SeedSequence([seed, stream, index]) for index in range(count))
    return [
        _compose_scene(np.random.default_rng(scene_seed), spec, digits, max_tries)
        for scene_seed in seeds
    ]


def _compose_scene(
    rng: np.random.Generator, spec: SceneSpec, digits: Dataset, max_tries: int
) -> Scene:
    count = rng.integers(*spec.digit_counts, endpoint=True)
    indices = rng.integers(len(digits.labels), size=count)
    sides = rng.integers(*spec.digit_sides, endpoint=True, size=count)
    images = np.asarray(digits.images[indices])
    # Count and sides stay when a layout starts over: new ones would favour few and small digits.
    # The loop ends: most layouts of every dataset succeed at the first attempt.
    while (drawn := _lay_out(rng, spec, images, sides, max_tries)) is None:
        pass
    canvas = np.zeros((spec.image_side, spec.image_side), np.int64)
    for ink, (x0, y0, x1, y1), _ in drawn:
        canvas[y0:y1, x0:x1] += ink
    ink = canvas.clip(max=255).astype(np.uint8)
    return Scene(
        ink if spec.photograph is None else spec.photograph(ink, rng),
        np.stack([digit.box for digit in drawn]),
        np.asarray(digits.labels[indices], np.int64),
    )


def _lay_out(
    rng: np.random.Generator,
    spec: SceneSpec,
    images: UInt8[np.ndarray, "n 28 28"],
    sides: Int64[np.ndarray, " n"],
    max_tries: int,
) -> list[_DrawnDigit] | None:
    """Returns the digits at their positions, or None if one finds no position."""
    drawn: list[_DrawnDigit] = []
    for image, side in zip(images, sides, strict=True):
        for _ in range(max_tries):
            corner = rng.integers(spec.image_side - side, endpoint=True, size=2)
            square = np.concatenate([corner, corner + side])
            if not _collides(square, drawn, disjoint=spec.disjoint):
                break
            if not spec.disjoint:
                side = rng.integers(*spec.digit_sides, endpoint=True)
        else:
            return None
        drawn.append(_draw(image, square))
    return drawn


def _collides(square: Int64[np.ndarray, "4"], drawn: list[_DrawnDigit], *, disjoint: bool) -> bool:
    if not drawn:
        return False
    earlier = np.stack([digit.square if disjoint else digit.box for digit in drawn])
    largest = box_iou(square[None], earlier).max()
    return bool(largest > 0 if disjoint else largest >= REFUSED_IOU)


def _draw(image: UInt8[np.ndarray, "28 28"], square: Int64[np.ndarray, "4"]) -> _DrawnDigit:
    x0, y0, x1, y1 = square.tolist()
    resized = Image.fromarray(image).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
    ink = np.asarray(resized)
    return _DrawnDigit(ink, square, mask_to_box(ink > 0) + np.array([x0, y0, x0, y0]))
