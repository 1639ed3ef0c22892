"""The images that the detector's constants are fitted on, and how well a config does on them."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
from sklearn.datasets import load_sample_images

from digits_jax.data.font_glyphs import load_font_digits, load_font_letters
from digits_jax.data.mnist import Mnist, load_mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.component_detector import to_detections
from digits_jax.detect.component_search import find_candidates
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import Classify
from digits_jax.detect.detections import Detections
from digits_jax.detect.selection import select
from digits_jax.eval.detection_metrics import (
    AP_MIN_SCORE,
    false_per_megapixel,
    score_detections,
)
from digits_jax.images.box_iou import box_iou
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.runtime.progress import progress
from digits_jax.train.negatives.photo_clutter import load_photographs
from experiments.common.images_without_digits import SIDE, cut_squares

SCENES = ("native", "savi-d", "mnist-od", "page", "textured", "fonts", "coarse")
COARSE_SIDE = 8  # px: of the `coarse` digits, which are those of a poor scan
FALSE_ALARM_COST = 0.003  # of F1, for each false detection a megapixel
LETTER_COST = 0.0005  # of F1, for each letter a megapixel that is read as a digit
CROP_COST = 1e-5  # of F1, for each crop that is classified in an image, on average
MIN_INSIDE = 0.6  # of a digit's box
MIN_IOU = 0.5  # of a right candidate and the digit
SEED = 11  # of the scenes


class Image(NamedTuple):
    """An image to fit on: its ink, and its digits (none in images without digits)."""

    dataset: str
    ink: np.ndarray
    scene: Scene
    is_photo: bool  # whether the threshold for photographs applies


class Example(NamedTuple):
    """An image and the candidates that the search finds in it."""

    image: Image
    clusters: list[Cluster]
    crops: int  # how many crops the search classified


def load_images(count: int) -> list[Image]:
    """Composes the scenes, and loads photographs and letters, in which every detection is false."""
    images = []
    fonts = load_font_digits("validation")
    digits = load_mnist().validation
    coarse = digits._replace(images=np.stack([_coarse(np.asarray(i)) for i in digits.images]))
    pages = {"fonts": Mnist(fonts, fonts, fonts), "coarse": Mnist(coarse, coarse, coarse)}
    for dataset in SCENES:
        name, mnist = ("page", pages[dataset]) if dataset in pages else (dataset, None)
        for scene in compose(name, "validation", count, SEED, mnist=mnist):
            images.append(_to_image(dataset, scene))
    no_digits = np.zeros((0, 4), np.int64), np.zeros(0, np.int64)
    for photograph in (*load_sample_images().images, *map(np.asarray, load_photographs())):
        for square in cut_squares(photograph):
            images.append(_to_image("photographs", Scene(square, *no_digits)))
    letters = load_font_letters("validation")
    for page in range(count // 6):
        images.append(_to_image("letters", Scene(_draw_letters(letters, page), *no_digits)))
    return images


def _coarse(digit: np.ndarray) -> np.ndarray:
    """Returns a digit of 28×28 px as it looks when it is scanned with 8×8."""
    small = cv2.resize(digit, (COARSE_SIDE, COARSE_SIDE), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, digit.shape, interpolation=cv2.INTER_LINEAR)


def _to_image(dataset: str, scene: Scene) -> Image:
    ink = scene.image if is_ink_on_black(scene.image) else normalise(scene.image)
    return Image(dataset, ink, scene, not is_ink_on_black(scene.image))


def _draw_letters(letters: np.ndarray, seed: int) -> np.ndarray:
    """Draws letters of 16 to 60 px on black, in a grid."""
    rng = np.random.default_rng(seed)
    page = np.zeros((SIDE, SIDE), np.uint8)
    for top, left in itertools.product(range(0, SIDE - 59, 60), repeat=2):
        side = int(rng.integers(24, 60))
        picture = PIL.Image.fromarray(letters[rng.integers(len(letters))])
        page[top : top + side, left : left + side] = np.asarray(picture.resize((side, side)))
    return page


def find_examples(
    images: Sequence[Image], classify: Classify, config: DetectorConfig
) -> list[Example]:
    """Finds the candidates of all images."""
    examples = []
    for image in progress(images, "image", len(images)):
        search, count = find_candidates(image.ink, config), 0
        crops = next(search)
        while True:
            count += len(crops)
            try:
                crops = search.send(classify([crops]))
            except StopIteration as finished:
                examples.append(Example(image, finished.value, count))
                break
    return examples


def right_digits(candidates: Sequence[Candidate], scene: Scene) -> np.ndarray:
    """Returns for each candidate which digits of the scene have its class and overlap its box."""
    if not len(scene.labels):
        return np.zeros((len(candidates), 0), bool)
    boxes = np.array([candidate.box for candidate in candidates])
    labels = np.array([candidate.label for candidate in candidates])
    overlap = box_iou(boxes, scene.boxes_xyxy)
    return np.asarray((overlap >= MIN_IOU) & (labels[:, None] == scene.labels))


def digits_inside(candidate: Candidate, scene: Scene) -> int:
    """Returns how many digits of the scene lie inside a candidate's box, for the most part."""
    boxes = np.asarray(scene.boxes_xyxy).reshape(-1, 4)
    low = np.maximum(boxes[:, :2], candidate.box[:2])
    high = np.minimum(boxes[:, 2:], candidate.box[2:])
    inside = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return int(np.count_nonzero(inside >= MIN_INSIDE * areas))


def objective(examples: Sequence[Example], config: DetectorConfig) -> float:
    """Returns the mean F1 of the scenes, less the costs of false detections and of crops."""
    rows = evaluate(examples, config)
    f1 = [row["f1"] for row in rows.values() if "f1" in row]
    false = rows["photographs"]["false_per_megapixel"]
    crops = float(np.mean([example.crops for example in examples]))
    cost = FALSE_ALARM_COST * false + CROP_COST * crops
    cost += LETTER_COST * rows["letters"]["false_per_megapixel"]
    return round(float(np.mean(f1)) - cost, 5)


def evaluate(examples: Sequence[Example], config: DetectorConfig) -> dict[str, dict[str, float]]:
    """Returns the scores of each dataset with a config's selection."""
    rows: dict[str, dict[str, float]] = {}
    for dataset in dict.fromkeys(example.image.dataset for example in examples):
        own = [example for example in examples if example.image.dataset == dataset]
        min_score = config.photo_min_score if own[0].image.is_photo else config.min_score
        found = [_select(example.clusters, config) for example in own]
        scenes = [example.image.scene for example in own]
        if any(len(scene.labels) for scene in scenes):
            scores = score_detections(scenes, found, min_score=min_score)
            rows[dataset] = {"f1": round(scores.f1, 4), "ap50": round(scores.ap50, 4)}
        else:
            counts = [len(detections.from_score(min_score).labels) for detections in found]
            pixels = [example.image.ink.size for example in own]
            false = false_per_megapixel(pixels, counts)
            rows[dataset] = {"false_per_megapixel": round(false, 2)}
    return rows


def _select(clusters: Sequence[Cluster], config: DetectorConfig) -> Detections:
    return to_detections(select(clusters, config.selection), AP_MIN_SCORE, None)
