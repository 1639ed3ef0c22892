r"""Which constants suit a network's detector?

Fits the constants of the search in components to weights: the coefficients of the scores, and of
the probability of touching digits, by logistic regression; those of the search and of the selection
by trying values in turn. The data are scenes of validation digits, of validation fonts, and images
without digits. At last it fits, on more scenes of validation digits, the share of detections that
are right by score, so that the scores are calibrated. Other weights need other constants, and this
is the one command that fits them.

The thresholds stay where they are among the scores of the search: that of photographs was set by
hand, since at much lower ones nothing is found either in the photographs that are used here.

Command:   python -m experiments.studies.fit_detector --weights runs/standard-0
Hardware:  any; needs the extra [bench].
Time:      an hour on 2 cores, of which the calibration takes half.
Result:    experiments/results/fit_detector.json, or with `--only-reliability` fit_reliability.json;
           with `--output FILE` also the weights with the fitted config in their header.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from scipy.optimize import minimize

from digits_jax.cli.arguments import LoadedModel, load_model
from digits_jax.detect.calibration import margin_log_odds, odds_features, score_candidates
from digits_jax.detect.candidates import KINDS
from digits_jax.detect.config import HEADER_KEY, DetectorConfig
from digits_jax.detect.crop_classifier import classify_block, crop_classifier
from digits_jax.detect.selection import log_odds, soft_nms
from digits_jax.detect.steps import OddsConfig
from digits_jax.detect.touching import InkSum, relative_ink, stroke_crossings
from digits_jax.models.weights import save_weights
from experiments.common.fit_examples import (
    Example,
    digits_inside,
    evaluate,
    find_examples,
    load_images,
    objective,
    right_digits,
)
from experiments.common.fit_reliability import fit_reliability, without_reliability
from experiments.common.provenance import provenance, write_result

# The values that are tried of each constant, one constant after the other. Those of the search need
# the images to be searched again.
SEARCH_VALUES: dict[str, Sequence[float]] = {
    "components.sure_score": (0.7, 0.8, 0.9, 0.95),
    "windows.max_ink": (0.5, 0.6),
    "windows.min_margin": (0.12, 0.2, 0.3),
    "windows.scale_ratio": (1.25, 1.4),
    "windows.same_radius": (0.25, 0.35, 0.45),
}
SELECTION_VALUES: dict[str, Sequence[float]] = {
    "selection.ink_weight": (0.3, 0.5, 0.8),
    "selection.clutter_offset": (0.0, -2.0, -3.0, -4.0, -5.0, -7.0, -10.0, -14.0),
    "selection.support_slope": (0.0, 0.5, 1.0, 1.5, 2.0),
    "selection.support_offset": (0.0, -0.25, -0.5, -0.75, -1.0),
}
RIDGE = 5e-4  # of the coefficients' squares: rare evidence does not get a large weight


def main(
    weights: str = "pretrained",
    output: Path | None = None,
    count: int = 60,
    search: bool = True,
    only_reliability: bool = False,
    reliability_count: int = 3000,
) -> None:
    """Fits the constants and writes them.

    Args:
        weights: `pretrained`, the folder of a training run, or a .safetensors file.
        output: File for the weights with the fitted constants; none is written by default.
        count: Number of scenes of each dataset.
        search: Whether the constants of the search are tried, too. The images are searched again
            for each value, which takes nearly all of the time.
        only_reliability: Whether all other constants stay as they are.
        reliability_count: Number of scenes of each dataset for the calibration of the scores.
    """
    model = load_model(weights)
    config = without_reliability(model.config)
    result: dict[str, Any] = {}
    if not only_reliability:
        config, result = fit_constants(model, config, count, search=search)
    config = fit_reliability(model.params, config, reliability_count)
    print(config.to_json())
    header = {"question": "Which constants suit these weights?", "weights": weights}
    header |= provenance(["scikit-learn"])
    config_fields = {"config": dataclasses.asdict(config)}
    name = "fit_reliability" if only_reliability else "fit_detector"
    print(write_result(name, header | config_fields | result))
    if output is not None:
        save_weights(output, model.params, {HEADER_KEY: config.to_json()})


def fit_constants(
    model: LoadedModel, config: DetectorConfig, count: int, *, search: bool
) -> tuple[DetectorConfig, dict[str, Any]]:
    """Fits all constants but the reliability; tells what improved and what was reached."""
    images = load_images(count)
    program = partial(classify_block, contact=config.border_contact)
    classify = crop_classifier(model.params, program)

    def search_and_evaluate(tried: DetectorConfig) -> float:
        return objective(find_examples(images, classify, tried), tried)

    # These decide where windows are searched, so the windows' scores are fitted after.
    config, examples = fit_scores(find_examples(images, classify, config), config)
    config = fit_touching(examples, config)
    history: list[dict[str, Any]] = []
    if search:
        config, history = try_values(SEARCH_VALUES, config, search_and_evaluate)
    config, examples = fit_scores(find_examples(images, classify, config), config)
    for _ in range(2):
        config, selection_history = try_values(
            SELECTION_VALUES, config, lambda tried: objective(examples, tried)
        )
        history += selection_history
    rows = [{"dataset": name, **row} for name, row in evaluate(examples, config).items()]
    return config, {"objective": history, "rows": rows}


def fit_scores(
    examples: Sequence[Example], config: DetectorConfig
) -> tuple[DetectorConfig, list[Example]]:
    """Fits all coefficients of the scores; returns the examples with the new ones, too."""
    config = fit_odds(examples, config)
    scored = [
        example._replace(
            clusters=[
                cluster._replace(candidates=score_candidates(cluster.candidates, config.odds))
                for cluster in example.clusters
            ]
        )
        for example in examples
    ]
    for _ in range(3):  # what is visited depends on the constants
        config = fit_soft_nms(scored, config)
    return config, scored


def fit_odds(examples: Sequence[Example], config: DetectorConfig) -> DetectorConfig:
    """Fits the scores of components and of windows by logistic regression."""
    odds = []
    for kind in KINDS:
        features, truths = [], []
        for image, clusters, _ in examples:
            candidates = [c for cluster in clusters for c in cluster.candidates if c.kind == kind]
            if candidates:
                features.append(odds_features(candidates))
                truths.append(right_digits(candidates, image.scene).any(axis=1))
        x, y = np.concatenate(features), np.concatenate(truths)
        used = x.std(axis=0) > 0
        used[1] = True  # the offset
        fitted = np.zeros(x.shape[1])
        fitted[used] = _logistic_regression(x[:, used], y)
        odds.append(OddsConfig(*fitted.tolist()))
    return dataclasses.replace(
        config, component_odds=odds[0], window_odds=odds[1], rest_odds=odds[2]
    )


def fit_touching(examples: Sequence[Example], config: DetectorConfig) -> DetectorConfig:
    """Fits by logistic regression which components are several digits."""
    images = []
    for image, clusters, _ in examples:
        candidates = [c for cluster in clusters for c in cluster.candidates]
        components = [c for c in candidates if c.kind == "component" and _is_connected(c.mask)]
        if len(image.scene.labels) and components:  # outlines in photographs cross any number
            images.append((components, image.scene))
    truths = np.array([digits_inside(c, scene) > 1 for own, scene in images for c in own])
    digits = [digit for components, _ in images for digit in components]
    margins = np.array([digit.margin for digit in digits])
    crossings = np.array([stroke_crossings(digit.mask) for digit in digits])
    features = [margin_log_odds(margins), np.ones(len(digits)), crossings]
    fitted = _logistic_regression(np.stack(features, axis=1), truths)
    # The other coefficients are those of a component by itself, where the ink says nothing.
    inks = np.concatenate(
        [relative_ink(components, InkSum.of(components)) for components, _ in images]
    )
    log_odds = np.stack(features, axis=1) @ np.array(fitted)
    (ink_slope,) = _logistic_regression(inks[:, None], truths, log_odds)
    names = ("margin_slope", "offset", "crossings_slope")
    touching = dataclasses.replace(
        config.touching, **dict(zip(names, fitted, strict=True)), ink_slope=ink_slope
    )
    return dataclasses.replace(config, touching=touching)


def _is_connected(mask: np.ndarray) -> bool:
    """Returns whether a mask is one component, and no pair of them."""
    background_and_components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]
    return bool(background_and_components <= 2)


def fit_soft_nms(examples: Sequence[Example], config: DetectorConfig) -> DetectorConfig:
    """Fits soft-NMS by logistic regression: which candidates are digits not found before?"""
    features, truths = [], []
    for image, clusters, _ in _without_letters(examples):
        for cluster in (c for c in clusters if c.candidates):
            right = right_digits(cluster.candidates, image.scene)
            odds = log_odds(np.array([candidate.score for candidate in cluster.candidates]))
            found: set[int] = set()
            for visit in soft_nms(cluster, config.selection):
                new = set(np.flatnonzero(right[visit.candidate]).tolist()) - found
                odd = odds[visit.candidate]
                overlaps = (visit.overlap, visit.overlap * odd, visit.same_class_overlap)
                features.append((odd, 1.0, *overlaps, visit.explained))
                truths.append(bool(new))
                found |= set(sorted(new)[:1])
    names = ("slope", "offset", "iou_offset", "iou_slope", "same_class_offset", "explained_offset")
    fitted = _logistic_regression(np.array(features), np.array(truths))
    selection = dataclasses.replace(config.selection, **dict(zip(names, fitted, strict=True)))
    return dataclasses.replace(config, selection=selection)


def _without_letters(examples: Sequence[Example]) -> list[Example]:
    """Returns what the scores are fitted on: a text is not what digits are sought in."""
    return [example for example in examples if example.image.dataset != "letters"]


def _logistic_regression(
    x: np.ndarray, y: np.ndarray, logits_before: np.ndarray | float = 0.0
) -> list[float]:
    def loss(coefficients: np.ndarray) -> float:
        logits = logits_before + x @ coefficients
        penalty = RIDGE * float(coefficients @ coefficients)
        return float(np.logaddexp(0, np.where(y, -logits, logits)).mean()) + penalty

    fitted = minimize(loss, np.array([1.0, *np.zeros(x.shape[1] - 1)])).x
    return [round(float(value), 2) for value in fitted]


def try_values(
    values: Mapping[str, Sequence[float]],
    config: DetectorConfig,
    reached_with: Callable[[DetectorConfig], float],
) -> tuple[DetectorConfig, list[dict[str, Any]]]:
    """Tries the values of each constant in turn, and keeps the best; tells what improved on it."""
    best = reached_with(config)
    history: list[dict[str, Any]] = [{"objective": best}]
    for name, candidates in values.items():
        for value in candidates:
            tried = _replace(config, name, value)
            if tried == config:
                continue
            reached = reached_with(tried)
            print(f"{name} {value}: {reached}", flush=True)
            if reached > best:
                best, config = reached, tried
                history.append({"objective": reached, name: value})
    return config, history


def _replace(config: DetectorConfig, name: str, value: float) -> DetectorConfig:
    """Returns a config with another value of a constant, such as `windows.max_ink`."""
    *outer, field = name.split(".")
    if not outer:
        changes: dict[str, Any] = {field: value}
        return dataclasses.replace(config, **changes)
    inner = dataclasses.replace(getattr(config, outer[0]), **{field: value})
    changed: dict[str, Any] = {outer[0]: inner}
    return dataclasses.replace(config, **changed)


if __name__ == "__main__":
    tyro.cli(main)
