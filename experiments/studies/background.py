"""What does each kind of background window, and of neighbour, contribute to finding digits?

Short runs of `standard`, each without one of the kinds; the others' shares stay as they are, and
the rest are digits. Scored on scenes of validation digits at the sizes 18 to 44 px, each run and
family at the threshold that is best for it, since short runs have lower margins than long ones; and
on letters and one photograph of scikit-image's, at the threshold best for `native`.

Command:   python experiments/background.py
Hardware:  any; needs the extra [bench].
Time:      about 45 minutes on 2 cores.
Result:    experiments/results/background.json; the verdict is in experiments/LOG.md.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from digits_jax.data import scenes
from digits_jax.data.mnist import load_mnist
from digits_jax.detect.detector import Detections, detect_batch
from digits_jax.eval.detection_metrics import score_detections
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import Params
from digits_jax.train.config import CONFIGS
from digits_jax.train.evaluate import accuracy
from digits_jax.train.loop import train
from experiments.common.provenance import provenance, write_result
from experiments.studies.detection import grey, letters, photograph, squares

KINDS = (
    *("neighbours", "off_centre", "wrong_size", "near_misses"),
    *("shapes", "textures", "blank"),
)
FAMILIES = ("native", "savi-d")
THRESHOLDS = np.arange(0.1, 1.0, 0.05)


def main(steps: int = 600, count: int = 50, workdirs: Path = Path("runs")) -> None:
    """Trains and scores once without each kind, once with all and once with none."""
    made = provenance(["scikit-image"])
    without = {"nothing": (), "all": KINDS, **{kind: (kind,) for kind in KINDS}}
    rows = []
    for name, kinds in without.items():
        changes: dict[str, Any] = {"steps": steps, **dict.fromkeys(kinds, 0.0)}
        recipe = dataclasses.replace(CONFIGS["standard"], **changes)
        params = train(recipe, workdirs / f"without-{name}-{steps}", seed=0)
        rows.append({"without": name, **_measured(params, count)})
        write_result(
            "background",
            {"question": "What does each kind contribute?", "steps": steps, **made, "rows": rows},
        )


def _measured(params: Params, count: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "validation_accuracy": accuracy(params, load_mnist(say=lambda line: None).validation)
    }
    for family in FAMILIES:
        composed = scenes.compose(family, "validation", count, seed=5)
        found = _found(params, [scene.image for scene in composed])
        f1, threshold = max(
            (score_detections(composed, found, min_score=least).f1, least)
            for least in THRESHOLDS.tolist()
        )
        row[family] = {"f1": round(f1, 4), "min_score": round(threshold, 2)}
    least = row["native"]["min_score"]
    for kind, images in {
        "photograph": [grey(photograph("camera"))],
        "letters": [letters(0)],
    }.items():
        cut = [square for image in images for square in squares(image)]
        false = sum(int((d.scores >= least).sum()) for d in _found(params, cut))
        row[f"false_on_{kind}"] = false
    return row


def _found(params: Params, images: list[np.ndarray]) -> list[Detections]:
    found: list[Detections] = []
    for first in tqdm(range(0, len(images), 10)):
        batch = images[first : first + 10]
        batch += [np.zeros_like(batch[0])] * (10 - len(batch))
        normalised = np.stack([normalise(image) for image in batch])
        detected = detect_batch(params, normalised, min_size=18, max_size=44, min_score=0.05)
        found += [detected.of_image(i) for i in range(10)]
    return found[: len(images)]


if __name__ == "__main__":
    tyro.cli(main)
