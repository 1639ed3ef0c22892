"""What do the neighbours in a window and each kind of negative contribute to detecting digits?

Trains short runs of `standard`, each without one of the kinds. The shares of the other kinds stay
as they are, and digits fill the rest of the batch. Each run is scored on two datasets of scenes of
validation digits, searched for digits of 18 to 44 px. The threshold is the best one for the run and
the dataset, since short runs have smaller margins than long ones. False detections are
counted on letters and on one photograph of scikit-image, at the best threshold for `native`.

Command:   python -m experiments.studies.negatives_ablation
Hardware:  any; needs the extra [bench].
Time:      about 45 minutes on 2 cores.
Result:    experiments/results/negatives_ablation.json; the verdict is in experiments/LOG.md. The
           committed one is of the former `standard`, of batches of 256 by Adam.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import compose
from digits_jax.detect import Detector, DetectorConfig
from digits_jax.eval.detection_metrics import check_pycocotools, score_detections
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import Params
from digits_jax.train.evaluate import accuracy
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from experiments.common.images_without_digits import (
    cut_squares,
    draw_letters,
    load_photograph,
    to_grey,
)
from experiments.common.provenance import provenance, write_result
from experiments.studies.detection import detect_all

FIELDS = (  # of the training configuration
    *("neighbours", "negative_off_centre", "negative_wrong_size", "jittered_crops"),
    *("negative_shapes", "negative_textures", "negative_blank", "negative_framed"),
    *("other_hands", "isolated_digits"),
)
DATASETS = ("native", "savi-d")
THRESHOLDS = np.arange(0.1, 1.0, 0.05)
DETECTOR_CONFIG = DetectorConfig(min_size=18, max_size=44, min_score=0.05)


def main(steps: int = 600, count: int = 50, workdirs: Path = Path("runs")) -> None:
    """Trains and scores without each kind, with all kinds ("nothing") and with none ("all").

    Args:
        steps: Training steps of each run.
        count: Number of scenes of each dataset.
        workdirs: Folder for the runs' work folders.
    """
    check_pycocotools()
    header = provenance(["scikit-image"])
    omissions = {"nothing": (), "all": FIELDS, **{field: (field,) for field in FIELDS}}
    rows = []
    for name, fields in omissions.items():
        changes: dict[str, Any] = {"steps": steps, **dict.fromkeys(fields, 0.0)}
        config = dataclasses.replace(CONFIGS["standard"], **changes)
        params = train(config, workdirs / f"without-{name}-{steps}", seed=0)
        rows.append({"without": name, **_measure(params, count)})
        write_result(
            "negatives_ablation",
            {"question": "What does each kind contribute?", "steps": steps, **header, "rows": rows},
        )


def _measure(params: Params, count: int) -> dict[str, Any]:
    detector = Detector(params, DETECTOR_CONFIG)
    row: dict[str, Any] = {"validation_accuracy": accuracy(params, load_mnist().validation)}
    for dataset in DATASETS:
        scenes = compose(dataset, "validation", count, seed=5)
        detections = detect_all(detector, [normalise(scene.image) for scene in scenes])
        f1, threshold = max(
            (score_detections(scenes, detections, min_score=min_score).f1, min_score)
            for min_score in THRESHOLDS.tolist()
        )
        row[dataset] = {"f1": round(f1, 4), "min_score": round(threshold, 2)}
    min_score = row["native"]["min_score"]
    images = {"photograph": to_grey(load_photograph("camera")), "letters": draw_letters(0)}
    for name, image in images.items():
        squares = [normalise(square) for square in cut_squares(image)]
        detections = detect_all(detector, squares)
        row[f"false_on_{name}"] = sum(len(d.from_score(min_score).labels) for d in detections)
    return row


if __name__ == "__main__":
    tyro.cli(main)
