"""Makes the weights that come with the package from a finished run of `make train`.

Command:   python experiments/release.py runs/standard-0
Hardware:  any.
Time:      a minute.
Result:    digits_jax/released.safetensors, whose header holds the recipe, the seed, the commit
           that trained it and its scores; run experiments/detection.py with it, then this again,
           and the scores are those of what is released.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

import digits_jax
from digits_jax.data.mnist import load_mnist
from digits_jax.detect.detector import MAX_SIZE, MIN_SIZE
from digits_jax.models.weights import PRETRAINED, load_weights, save_weights
from digits_jax.train.checkpoints import load_best
from digits_jax.train.evaluate import count_errors
from digits_jax.train.workdir import read_metrics, read_run
from experiments.common.provenance import RESULTS, provenance

FILE = Path(digits_jax.__file__).parent / PRETRAINED

FIGURES = "ap50", "f1", "right_count", "false_per_megapixel"


def main(workdir: tyro.conf.Positional[Path]) -> None:
    """Rounds the run's best checkpoint to half precision and counts its errors as rounded."""
    run = read_run(workdir)
    step, params = load_best(workdir)
    made = _result(workdir)
    header = {
        "recipe": json.dumps(dataclasses.asdict(run.recipe)),
        "seed": str(run.seed),
        "step": str(step),
        "commit": made["commit"],
        "hardware": json.dumps(made["hardware"]),
        "jax": provenance()["versions"]["jax"],
    }
    save_weights(FILE, params, header)
    errors = count_errors(load_weights(FILE), load_mnist().test)
    scores = {"test_errors": errors} | {
        row["images"]: {key: row[key] for key in FIGURES if key in row} for row in _detection()
    }
    save_weights(FILE, params, header | {"scores": json.dumps(scores)})
    print(f"{FILE}: {FILE.stat().st_size / 2**20:.2f} MiB, {errors} test errors")


def _result(workdir: Path) -> dict[str, Any]:
    """What experiments/accuracy.py wrote of this very run."""
    path = RESULTS / "accuracy_standard.json"
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    rows = read_metrics(workdir / "metrics.jsonl")
    record = {str(row.step): row.validation_accuracy for row in rows}
    made = next((run for run in runs if run["validation_accuracy_by_step"] == record), None)
    if made is None:
        raise SystemExit(f"{path} has no run like {workdir}; run experiments/accuracy.py first")
    return made


def _detection() -> list[dict[str, float]]:
    path = RESULTS / "detection.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    sizes = [MIN_SIZE, MAX_SIZE]
    return [row for row in rows if row["weights"] == "released" and row["sizes"] == sizes]


if __name__ == "__main__":
    tyro.cli(main)
