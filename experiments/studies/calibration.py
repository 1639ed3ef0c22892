r"""Do the probabilities and scores say how sure the network is, and does it know what is no digit?

Measures, with one set of weights:

- the expected calibration error of the test digits' largest probability (Guo et al., 2017);
- of the detections in scenes of test digits, by score, the share that is right;
- of windows that show no digit, how well the margin tells them from test digits: the area under
  the ROC curve, and the share of digits kept where 1 % of the windows pass. The windows are clothes
  (Fashion-MNIST), letters and characters of other scripts in fonts of the test split, noise,
  photographs, and blank ones. Training never saw any of them.

Command:   python -m experiments.studies.calibration
Hardware:  any; needs the extra [bench], Debian's dataset-fashion-mnist, and for fetching the fonts
           npm, Debian 12's apt-get and dpkg, and pip.
Time:      two minutes on 2 cores.
Result:    experiments/results/calibration.json and reliability.png, from which
           `experiments.figures.tables` writes tables of docs/results.md.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from digits_jax.cli.arguments import load_model
from digits_jax.data.mnist import load_mnist
from digits_jax.detect import Detector
from digits_jax.eval.detection_metrics import AP_MIN_SCORE
from experiments.common.fonts import fonts_folder
from experiments.common.margins import margins, probabilities, separate
from experiments.common.provenance import RESULTS, provenance, write_result
from experiments.common.reliability import (
    BINS,
    ReliabilityBin,
    expected_calibration_error,
    reliability,
)
from experiments.common.scene_scores import scene_scores
from experiments.common.windows_without_digits import load_windows_without_digits


def main(weights: str = "pretrained", count: int = 200, fonts: Path | None = None) -> None:
    """Measures the calibration of one set of weights.

    Args:
        weights: `pretrained`, the folder of a training run, or a .safetensors file.
        count: Number of scenes of each dataset.
        fonts: Folder for the fonts; those that are missing are fetched. By default in the cache.
    """
    model = load_model(weights)
    test = load_mnist().test
    digits = probabilities(model.params, np.asarray(test.images))
    is_right = digits.argmax(axis=1) == np.asarray(test.labels)
    of_digits = reliability(digits.max(axis=1), is_right, BINS)

    detector = Detector(model.params, dataclasses.replace(model.config, min_score=AP_MIN_SCORE))
    of_scenes = scene_scores(detector, "test", count)
    scores, rights = (np.concatenate(parts) for parts in zip(*of_scenes.values(), strict=True))
    of_detections = reliability(scores, rights)
    windows = load_windows_without_digits(fonts or fonts_folder())
    result = {
        "question": "Do probabilities and scores say how sure the network is?",
        "weights": weights,
        **provenance(["scikit-learn", "scikit-image"]),
        "digits": {
            "count": len(digits),
            "expected_calibration_error": round(expected_calibration_error(of_digits), 5),
            "bins": [row._asdict() for row in of_digits if row.predictions],
        },
        "detections": {
            "scenes": count,
            "min_score": {
                "scenes": model.config.min_score,
                "photographs": model.config.photo_min_score,
            },
            "bins": [row._asdict() for row in of_detections if row.predictions],
            "by_dataset": {
                name: [row._asdict() for row in reliability(*part) if row.predictions]
                for name, part in of_scenes.items()
            },
        },
        "windows_without_digits": [
            {"windows": name, **separate(margins(digits), model.params, images)}
            for name, images in windows.items()
        ],
    }
    _draw(of_digits, of_detections).savefig(RESULTS / "reliability.png", dpi=100)
    print(write_result("calibration", result))


def _draw(of_digits: list[ReliabilityBin], of_detections: list[ReliabilityBin]) -> Any:
    """Draws the two reliability diagrams, and how many predictions each bin has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    titles = ("test digits, by probability", "detections, by score")
    axes = figure.subplots(1, 2)
    for axis, title, rows in zip(axes, titles, (of_digits, of_detections), strict=True):
        some = [row for row in rows if row.predictions]
        axis.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axis.plot([r.mean_confidence for r in some], [r.right for r in some], "o-")
        for row in some:
            axis.annotate(
                f"{row.predictions:,}", (row.mean_confidence, row.right), (4, -10), fontsize=7,
                textcoords="offset points",
            )  # fmt: skip
        axis.set(title=title, xlabel="confidence", ylabel="share that is right")
    return figure


if __name__ == "__main__":
    tyro.cli(main)
