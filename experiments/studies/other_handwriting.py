"""Are digits detected that were not written by MNIST's writers?

Scores detection in scenes of the dataset `page` (dark ink, 24 to 64 px, in uneven light) composed
of other kinds of digits, each framed as MNIST's digits are: the UCI set of handwritten digits
(Alpaydin and Kaynak, 1998; 43 writers, 8×8 px) that comes with scikit-learn, and the test families
of experiments/common/fonts.tsv. These are scored as three: all handwriting fonts, two of them that
imitate one person's quick hand (`dkg` and `Breip`), and print. None of these digits was used for
training or for choosing any constant.

Command:   python -m experiments.studies.other_handwriting
Hardware:  any; needs the extra [bench]. Fetching the fonts needs npm, Debian 12's apt-get and
           dpkg, and pip.
Time:      an hour on 2 cores.
Result:    experiments/results/other_handwriting.json, from which `experiments.figures.tables`
           writes rows of docs/results.md.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from digits_jax.cli.arguments import load_model
from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect import Detections, Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import AP_MIN_SCORE, check_pycocotools, score_detections
from digits_jax.images.mnist_format import frame_digit
from digits_jax.images.normalise import normalise
from experiments.common.fonts import (
    QUICK_HANDS,
    FontFamily,
    draw_glyph,
    fetch_fonts,
    fonts_folder,
    load_font,
    read_families,
)
from experiments.common.provenance import provenance, write_result
from experiments.studies.detection import detect_all


def main(
    weights: str = "pretrained", count: int = 60, seed: int = 0, fonts: Path | None = None
) -> None:
    """Composes scenes of each kind of digits and scores detection in them.

    Args:
        weights: `pretrained`, the folder of a training run, or a .safetensors file.
        count: Number of scenes of each kind of digits.
        seed: Seed of the scenes.
        fonts: Folder for the fonts; those that are missing are fetched. By default in the cache.
    """
    check_pycocotools()
    model = load_model(weights)
    detector = Detector(model.params, dataclasses.replace(model.config, min_score=AP_MIN_SCORE))
    rows = []
    for name, digits in load_digits(fonts or fonts_folder()).items():
        scenes = compose("page", "test", count, seed, mnist=Mnist(digits, digits, digits))
        detections = detect_all(detector, [normalise(scene.image) for scene in scenes])
        # All scenes of a dataset have the same threshold.
        min_score = default_min_score(scenes[0].image, normalised=True, config=model.config)
        scores = score_detections(scenes, detections, min_score=min_score)._asdict()
        metrics = {key: round(value, 4) for key, value in scores.items()}
        metrics |= {"digits": name, "count": metrics["digits"], "min_score": min_score}
        over_threshold = [image.from_score(min_score) for image in detections]
        metrics["by_label"] = [_recall(scenes, over_threshold, label) for label in range(10)]
        rows.append(metrics)
        print(metrics)
    question = "Are digits found that are not MNIST's?"
    sizes = [model.config.min_size, model.config.max_size]
    search = {"weights": weights, "sizes": sizes, "method": model.config.method}
    header = {"question": question, **search, **provenance(["scikit-learn"])}
    print(write_result("other_handwriting", {**header, "rows": rows}))


def load_digits(folder: Path) -> dict[str, Dataset]:
    """Loads or draws the kinds of digits.

    Args:
      folder: the folder for the fonts.
    """
    test = [family for family in read_families() if family.split == "test"]
    hands = [family for family in test if family.kind == "hand"]
    return {
        "UCI digits": load_uci(),
        "handwriting fonts": draw_fonts(hands, folder),
        "dkg and Breip": draw_fonts([f for f in hands if f.name in QUICK_HANDS], folder),
        "print fonts": draw_fonts([f for f in test if f.kind == "print"], folder),
    }


def load_uci() -> Dataset:
    """Loads the 1,797 UCI digits of scikit-learn."""
    from sklearn import datasets

    bunch: Any = datasets.load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Dataset(
        np.stack([frame_digit(image) for image in images]), bunch.target.astype(np.uint8)
    )


def draw_fonts(families: list[FontFamily], folder: Path) -> Dataset:
    """Draws the ten digits of each family, about 200 px high, and frames them.

    Args:
      families: the families; their fonts are fetched if they are missing.
      folder: the folder for the fonts.
    """
    fetch_fonts(families, folder)
    images = []
    for family in families:
        font = load_font(family, folder)
        for digit in "0123456789":
            if (image := draw_glyph(font, digit)) is None:
                raise ValueError(f"{family.name} has no {digit}")
            images.append(frame_digit(image))
    return Dataset(np.stack(images), np.tile(np.arange(10, dtype=np.uint8), len(families)))


def _recall(scenes: Sequence[Scene], detections: Sequence[Detections], label: int) -> float:
    """Returns the share of a class's digits that are detected: a centre lies in their box."""
    detected = total = 0
    for scene, image in zip(scenes, detections, strict=True):
        boxes = image.boxes_xyxy[image.labels == label]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        for box in scene.boxes_xyxy[scene.labels == label]:
            total += 1
            detected += bool(((centres >= box[:2]) & (centres < box[2:])).all(axis=1).any())
    return round(detected / max(total, 1), 3)


if __name__ == "__main__":
    tyro.cli(main)
