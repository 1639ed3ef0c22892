"""Which weights are better on validation data, before any test digit is looked at?

Compares weights with the first ones that are given:

- on MNIST's validation digits: errors, cross-entropy, and the expected calibration error (Guo et
  al., 2017);
- on the fonts of the validation split: errors on their digits, and the share of MNIST's digits that
  are kept where 1 % of their letters pass, by the margin;
- with `--wallpapers`, in photographs of two packages of Debian, normalised: the false detections a
  megapixel;
- in the same scenes of validation digits, with the detector's constants of each of the weights: F1,
  how much it is above that of the first weights, and the standard error of this difference.

150 scenes have chosen the worse of two weights: trust a difference of several standard errors.

Command:   python -m experiments.studies.compare_weights pretrained fitted.safetensors
           `experiments.studies.fit_detector --output` writes weights with their constants.
Hardware:  any; needs the extra [bench], and with `--wallpapers` Debian's mate-backgrounds and
           ukui-wallpapers.
Time:      a quarter of an hour on 1 core for each of the weights.
Result:    experiments/results/compare_weights.json
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
from jaxtyping import Float

from digits_jax.cli.arguments import LoadedModel, load_model
from digits_jax.data.font_glyphs import load_font_digits, load_font_letters
from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import SCENE_DATASETS, Scene, compose
from digits_jax.detect import Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import are_right
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import Params
from digits_jax.runtime.progress import log
from experiments.common.margins import margins, probabilities, separate
from experiments.common.provenance import provenance, write_result
from experiments.common.reliability import BINS, expected_calibration_error, reliability
from experiments.common.wallpapers import load_wallpapers
from experiments.studies.detection import count_false_detections, detect_all

RESAMPLINGS = 1000


class Counts(NamedTuple):
    """What was found in each scene."""

    right: Float[np.ndarray, " scenes"]
    detections: Float[np.ndarray, " scenes"]
    digits: Float[np.ndarray, " scenes"]


def main(
    reference: tyro.conf.Positional[str],
    others: tyro.conf.Positional[tuple[str, ...]],
    count: int = 1000,
    seed: int = 6,
    datasets: Annotated[tuple[str, ...], tyro.conf.arg(metavar="DATASET…")] = SCENE_DATASETS,
    wallpapers: bool = False,
) -> None:
    """Measures each of the weights and writes what it has after each dataset.

    Args:
        reference: `pretrained`, the folder of a training run, or a .safetensors file.
        others: The same; they are compared with the first.
        count: Number of scenes of each dataset.
        seed: Seed of the scenes.
        datasets: Datasets of scenes.
        wallpapers: Whether false detections in photographs are counted, too.
    """
    squares = load_wallpapers() if wallpapers else []
    weights = (reference, *others)
    models = [load_model(name) for name in weights]
    question = "Which weights are better on validation data?"
    header = {"question": question, **provenance(["scikit-learn"]), "scenes": count, "seed": seed}
    rows: list[dict[str, Any]] = [
        {"weights": name, **classify_validation_data(model.params)}
        for name, model in zip(weights, models, strict=True)
    ]
    if wallpapers:
        for model, row in zip(models, rows, strict=True):
            row["wallpapers"] = count_false_detections(
                _detector(model, model.config.photo_min_score),
                model.config,
                squares,
                normalised=True,
            )
    for row in rows:
        print(row, flush=True)
    path = write_result("compare_weights", {**header, "rows": rows})
    for dataset in datasets:
        scenes = compose(dataset, "validation", count, seed)
        images = [normalise(scene.image) for scene in scenes]
        found = []
        for name, model, row in zip(weights, models, rows, strict=True):
            log(f"{dataset}, {name}")
            threshold = default_min_score(scenes[0].image, normalised=True, config=model.config)
            detections = detect_all(_detector(model, threshold), images)
            found.append(count_right(scenes, detections))
            difference, error = compare_f1(found[-1], found[0])
            row[dataset] = {
                "f1": round(f1(found[-1]), 4),
                "above_the_first": round(difference, 4),
                "standard_error": round(error, 4),
            }
            print(name, dataset, row[dataset], flush=True)
        write_result("compare_weights", {**header, "rows": rows})
    print(path)


def _detector(model: LoadedModel, min_score: float) -> Detector:
    return Detector(model.params, dataclasses.replace(model.config, min_score=min_score))


def classify_validation_data(params: Params) -> dict[str, float]:
    """Measures the network on single digits and letters of the validation split."""
    digits, fonts = load_mnist(log=lambda _: None).validation, load_font_digits("validation")
    of_digits = probabilities(params, np.asarray(digits.images))
    labels = np.asarray(digits.labels)
    is_right = of_digits.argmax(axis=1) == labels
    likelihood = of_digits[np.arange(len(labels)), labels]
    bins = reliability(of_digits.max(axis=1), is_right, BINS)
    of_fonts = probabilities(params, np.asarray(fonts.images))
    letters = separate(margins(of_digits), params, np.asarray(load_font_letters("validation")))
    return {
        "errors": int((~is_right).sum()),
        "cross_entropy": round(float(-np.log(likelihood).mean()), 4),
        "expected_calibration_error": round(expected_calibration_error(bins), 5),
        "digits_kept_beside_letters": letters["digits_kept"],
        "font_errors": int((of_fonts.argmax(axis=1) != np.asarray(fonts.labels)).sum()),
        "font_digits": len(of_fonts),
    }


def count_right(scenes: Sequence[Scene], found: Sequence[Any]) -> Counts:
    """Counts the right detections, all detections and the digits of each scene."""
    rights = [are_right(*pair) for pair in zip(scenes, found, strict=True)]
    counts = (
        [right.sum() for right in rights],
        [len(right) for right in rights],
        [len(scene.labels) for scene in scenes],
    )
    return Counts(*(np.array(values, float) for values in counts))


def f1(counts: Counts) -> float:
    """Computes 2·right ÷ (detections + digits) over all scenes."""
    return float(2 * counts.right.sum() / (counts.detections.sum() + counts.digits.sum()))


def compare_f1(counts: Counts, reference: Counts) -> tuple[float, float]:
    """Returns by how much F1 is above that of a reference in the same scenes, and its error.

    The standard error is that of the difference, by resampling the scenes (the bootstrap of Efron,
    1979).
    """
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLINGS):
        rows = rng.integers(len(counts.right), size=len(counts.right))
        one, other = (Counts(*(values[rows] for values in c)) for c in (counts, reference))
        differences.append(f1(one) - f1(other))
    return f1(counts) - f1(reference), float(np.std(differences))


if __name__ == "__main__":
    tyro.cli(main)
