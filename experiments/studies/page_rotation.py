"""How often does `detect --rotate auto` find the turn of a page?

Composes pages of MNIST's validation digits, turns each by 0, 90, 180 and 270 degrees, searches it
in all four turns as the command does, and counts how often the upright one is chosen: by the sum of
all scores, by the number of digits, and by the sum of the scores of at least 0.99
(`digits_jax.detect.rotation.evidence`). A tie counts as wrong.

Command:   python -m experiments.studies.page_rotation
Hardware:  any.
Time:      fifteen minutes on 2 cores.
Result:    experiments/results/page_rotation.json.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tyro

from digits_jax.cli.arguments import load_model
from digits_jax.data.scenes import compose
from digits_jax.detect import Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.detect.rotation import TURNS, evidence
from digits_jax.images.normalise import normalise
from experiments.common.provenance import provenance, write_result

CRITERIA: dict[str, Callable[[np.ndarray], Any]] = {
    "sum of scores": lambda scores: float(scores.sum()),
    "number of digits": len,
    "sure digits": evidence,
}


def main(datasets: tuple[str, ...] = ("page", "native"), count: int = 60, seed: int = 7) -> None:
    """Counts how often each criterion chooses the upright turn.

    Args:
        datasets: Datasets of scenes.
        count: Number of scenes of each.
        seed: Seed of the scenes.
    """
    model = load_model("pretrained")
    detector = Detector(model.params, model.config)
    rows = []
    for dataset in datasets:
        right: dict[str, list[int]] = {name: [0] * len(TURNS) for name in CRITERIA}
        upside_down = dict.fromkeys(CRITERIA, 0)
        for scene in compose(dataset, "validation", count, seed):
            for k, given in enumerate(TURNS):
                picture = np.ascontiguousarray(np.rot90(scene.image, given // 90))
                least = default_min_score(picture, normalised=True, config=model.config)
                ink = normalise(picture)
                scores = [
                    detector.detect(np.ascontiguousarray(np.rot90(ink, -turn // 90)))
                    .from_score(least)
                    .scores.astype(float)
                    for turn in TURNS
                ]
                for name, criterion in CRITERIA.items():
                    values = [criterion(own) for own in scores]
                    best = [turn for turn in TURNS if values[turn // 90] == max(values)]
                    right[name][k] += best == [given]
                    upside_down[name] += best == [(given + 180) % 360]
        for name in CRITERIA:
            row = {"dataset": dataset, "criterion": name, "pages": count}
            rows.append(row | {"right": right[name], "upside_down": upside_down[name]})
            print(rows[-1])
    question = "How often is the turn of a page found?"
    header = {"question": question, "split": "validation", "seed": seed, "turns": TURNS}
    print(write_result("page_rotation", {**header, **provenance(), "rows": rows}))


if __name__ == "__main__":
    tyro.cli(main)
