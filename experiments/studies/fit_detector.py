r"""Which constants suit a network's detector?

Fits the constants of the search in components to weights: the coefficients of the scores by
logistic regression, and the constants of the selection by trying values in turn. The data are
scenes of validation digits, of validation fonts, and images without digits. Other weights need
other constants, and this is the one command that fits them.

Command:   python -m experiments.studies.fit_detector runs/standard-0 --output fitted.safetensors
Hardware:  any; needs the extra [bench].
Time:      20 minutes on 2 cores.
Result:    the weights with the fitted config in their header, and
           experiments/results/fit_detector.json.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import tyro
from scipy.optimize import minimize
from sklearn.datasets import load_sample_images

from digits_jax.cli.arguments import load_model
from digits_jax.data.font_glyphs import load_font_digits, load_font_letters
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.calibration import odds_features
from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.component_detector import to_detections
from digits_jax.detect.component_search import find_candidates
from digits_jax.detect.config import HEADER_KEY, DetectorConfig
from digits_jax.detect.crop_classifier import Classify, classify_block, crop_classifier
from digits_jax.detect.detections import Detections
from digits_jax.detect.selection import log_odds, select, soft_nms
from digits_jax.detect.steps import OddsConfig
from digits_jax.eval.detection_metrics import (
    AP_MIN_SCORE,
    false_per_megapixel,
    score_detections,
)
from digits_jax.images.box_iou import box_iou
from digits_jax.images.normalise import is_ink_on_black, normalise
from digits_jax.models.weights import save_weights
from digits_jax.runtime.progress import progress
from digits_jax.train.negatives.photo_clutter import load_photographs
from experiments.common.images_without_digits import SIDE, cut_squares
from experiments.common.provenance import provenance, write_result

SCENES = ("native", "savi-d", "mnist-od", "page", "textured", "fonts")
FALSE_ALARM_COST = 0.003  # of F1, for each false detection a megapixel
# The values that are tried of each constant of the selection, one constant after the other.
VALUES: dict[str, Sequence[float]] = {
    "ink_weight": (0.3, 0.5, 0.8, 1.2, 2.0),
    "unexplained_offset": (0.0, -1.0, -2.0, -3.0, -4.0, -6.0),
}
PHOTO_MIN_SCORES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
ROUNDS = 2
RIDGE = 5e-4  # of the coefficients' squares: rare evidence does not get a large weight
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


def main(weights: str = "pretrained", output: Path | None = None, count: int = 60) -> None:
    """Fits the constants and writes them.

    Args:
        weights: `pretrained`, the folder of a training run, or a .safetensors file.
        output: File for the weights with the fitted constants; none is written by default.
        count: Number of scenes of each dataset.
    """
    model = load_model(weights)
    config, images = model.config, load_images(count)
    program = partial(classify_block, contact=config.border_contact)
    classify = crop_classifier(model.params, program)
    # The scores decide where windows are searched, so the windows' scores are fitted after.
    for _ in range(2):
        examples = find_examples(images, classify, config)
        config = fit_odds(examples, config)
    examples = find_examples(images, classify, config)
    for _ in range(3):
        config = fit_soft_nms(examples, config)
    config, history = fit_selection(examples, config)
    print(config.to_json())
    result = {
        "question": "Which constants suit these weights?",
        "weights": weights,
        **provenance(["scikit-learn"]),
        "config": dataclasses.asdict(config),
        "objective": history,
        "rows": [{"dataset": name, **row} for name, row in evaluate(examples, config).items()],
    }
    print(write_result("fit_detector", result))
    if output is not None:
        header = {HEADER_KEY: config.to_json()}
        save_weights(output, model.params, header)


def load_images(count: int) -> list[Image]:
    """Composes the scenes, and loads photographs and letters, in which every detection is false."""
    images = []
    for dataset in SCENES:
        fonts = load_font_digits("validation")
        mnist = Mnist(fonts, fonts, fonts) if dataset == "fonts" else None
        name = "page" if dataset == "fonts" else dataset
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
        search = find_candidates(image.ink, config)
        crops = next(search)
        while True:
            try:
                crops = search.send(classify([crops]))
            except StopIteration as finished:
                examples.append(Example(image, finished.value))
                break
    return examples


def fit_odds(examples: Sequence[Example], config: DetectorConfig) -> DetectorConfig:
    """Fits the scores of components and of windows by logistic regression."""
    odds = []
    for is_window in (False, True):
        features, truths = [], []
        for image, clusters in examples:
            candidates = [
                c for cluster in clusters for c in cluster.candidates if c.is_window == is_window
            ]
            if candidates:
                features.append(odds_features(candidates))
                truths.append(_right_digits(candidates, image.scene).any(axis=1))
        x, y = np.concatenate(features), np.concatenate(truths)
        used = x.std(axis=0) > 0
        used[1] = True  # the offset

        fitted = np.zeros(x.shape[1])
        fitted[used] = _logistic_regression(x[:, used], y)
        odds.append(OddsConfig(*fitted.tolist()))
    return dataclasses.replace(config, component_odds=odds[0], window_odds=odds[1])


def fit_soft_nms(examples: Sequence[Example], config: DetectorConfig) -> DetectorConfig:
    """Fits soft-NMS by logistic regression: which candidates are digits not found before?"""
    features, truths = [], []
    for image, clusters in _without_letters(examples):
        for cluster in clusters:
            right = _right_digits(cluster.candidates, image.scene)
            odds = log_odds(np.array([candidate.score for candidate in cluster.candidates]))
            found: set[int] = set()
            for visit in soft_nms(cluster, config.selection):
                new = set(np.flatnonzero(right[visit.candidate]).tolist()) - found
                features.append((odds[visit.candidate], 1.0, visit.iou, visit.explained))
                truths.append(bool(new))
                found |= set(sorted(new)[:1])
    names = ("slope", "offset", "iou_offset", "explained_offset")
    fitted = _logistic_regression(np.array(features), np.array(truths))
    selection = dataclasses.replace(config.selection, **dict(zip(names, fitted, strict=True)))
    return dataclasses.replace(config, selection=selection)


def _without_letters(examples: Sequence[Example]) -> list[Example]:
    """Returns what the scores are fitted on: a text is not what digits are sought in."""
    return [example for example in examples if example.image.dataset != "letters"]


def _logistic_regression(x: np.ndarray, y: np.ndarray) -> list[float]:
    def loss(coefficients: np.ndarray) -> float:
        logits = x @ coefficients
        penalty = RIDGE * float(coefficients @ coefficients)
        return float(np.logaddexp(0, np.where(y, -logits, logits)).mean()) + penalty

    fitted = minimize(loss, np.array([1.0, *np.zeros(x.shape[1] - 1)])).x
    return [round(float(value), 2) for value in fitted]


def _right_digits(candidates: Sequence[Candidate], scene: Scene) -> np.ndarray:
    """Returns for each candidate which digits of the scene have its class and overlap its box."""
    if not len(scene.labels):
        return np.zeros((len(candidates), 0), bool)
    boxes = np.array([candidate.box for candidate in candidates])
    labels = np.array([candidate.label for candidate in candidates])
    overlap = box_iou(boxes, scene.boxes_xyxy)
    return np.asarray((overlap >= MIN_IOU) & (labels[:, None] == scene.labels))


def fit_selection(
    examples: Sequence[Example], config: DetectorConfig
) -> tuple[DetectorConfig, list[dict[str, Any]]]:
    """Tries the values of each constant of the selection in turn, and keeps the best."""
    history: list[dict[str, Any]] = [{"objective": objective(examples, config)}]
    for name, values in itertools.chain.from_iterable([VALUES.items()] * ROUNDS):
        for value in values:
            selection = dataclasses.replace(config.selection, **{name: value})
            tried = dataclasses.replace(config, selection=selection)
            reached = objective(examples, tried)
            if reached > history[-1]["objective"]:
                history.append({"objective": reached, name: value})
                config = tried
    for value in PHOTO_MIN_SCORES:
        tried = dataclasses.replace(config, photo_min_score=value)
        reached = objective(examples, tried)
        if reached > history[-1]["objective"]:
            history.append({"objective": reached, "photo_min_score": value})
            config = tried
    return config, history


def objective(examples: Sequence[Example], config: DetectorConfig) -> float:
    """Returns the mean F1 of the scenes, less the cost of false detections elsewhere."""
    rows = evaluate(examples, config)
    f1 = [row["f1"] for row in rows.values() if "f1" in row]
    false = rows["photographs"]["false_per_megapixel"]
    return round(float(np.mean(f1)) - FALSE_ALARM_COST * false, 5)


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
    chosen = [c for cluster in clusters for c in select(cluster, config.selection)]
    return to_detections(chosen, AP_MIN_SCORE, None)


if __name__ == "__main__":
    tyro.cli(main)
