"""What does each part of the training of `accurate` contribute?

Trains short runs of `accurate`, each with one change, on the 50,000 training digits, and counts
their errors on the validation digits.

Command:   taskset -c 0 python -m experiments.studies.accurate_ablation --seeds 0
           taskset -c 1 python -m experiments.studies.accurate_ablation --seeds 1 2
Hardware:  any.
Time:      5 minutes a run and core, 40 minutes a seed.
Result:    experiments/results/accurate_ablation.json, from which `experiments.figures.tables`
           writes a table of docs/training.md.

Runs are in runs/accurate-ablation/CHANGE-SEED. A run that was stopped is continued.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.train.evaluate import count_errors
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from experiments.common.provenance import provenance, read_result, write_result

NAME = "accurate_ablation"
STEPS = 2000
CHANGES: dict[str, dict[str, Any]] = {
    "none": {},
    "no label smoothing": {"label_smoothing": 0.0},
    "shifts alone": {
        "scale": 1.0, "rotation_deg": 0.0, "shear": 0.0, "aspect": 1.0, "elastic_sigma_px": 0.0,
    },
    "stronger warps": {
        "scale": 1.15, "rotation_deg": 12.0, "shear": 0.2, "aspect": 1.1, "elastic_sigma_px": 1.0,
    },
    "no shifts": {"translate_px": 0},
    "Adam": {"optimizer": "adam"},
    "twice the steps": {"steps": 2 * STEPS},
}  # fmt: skip


def main(
    seeds: Annotated[list[int], tyro.conf.arg(metavar="SEED…")] = [0, 1, 2],  # noqa: B006
    workdirs: Path = Path("runs/accurate-ablation"),
) -> None:
    """Trains each change with each seed, and adds the runs to the result.

    Args:
        seeds: Seeds of the runs.
        workdirs: Folder for the runs' work folders.
    """
    header = provenance()
    validation = load_mnist().validation
    for seed in seeds:
        for change, fields in CHANGES.items():
            base: dict[str, Any] = {"steps": STEPS, "train_on_validation": False}
            config = dataclasses.replace(CONFIGS["accurate"], **{**base, **fields})
            params = train(config, workdirs / f"{change.replace(' ', '-')}-{seed}", seed)
            errors = count_errors(params, validation)
            run = {"change": change, "seed": seed, "validation_errors": errors, **header}
            runs = read_result(NAME).get("runs", [])  # another process adds to it too
            runs = [row for row in runs if (row["change"], row["seed"]) != (change, seed)] + [run]
            result = {
                "question": "What does each part of the training of `accurate` contribute?",
                "steps": STEPS,
                "changes": CHANGES,
                "runs": runs,
            }
            print(write_result(NAME, result))


if __name__ == "__main__":
    tyro.cli(main)
