"""Writes the weights that come with the package, from a finished training run.

Command:   python -m experiments.studies.export_pretrained runs/standard-0
Hardware:  any.
Time:      a minute.
Result:    digits_jax/models/pretrained.safetensors. Its header holds the training configuration,
           the detector's constants, the seed, the commit that trained it, and its scores. The
           detection scores are read from experiments/results/detection.json. After new weights, run
           `experiments.studies.detection`, and then this once more.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.detect.config import DEFAULT_CONFIG, HEADER_KEY
from digits_jax.models import weights
from digits_jax.models.weights import load_weights, save_weights
from digits_jax.train.checkpoints import load_best
from digits_jax.train.evaluate import count_errors
from digits_jax.train.former_names import to_former_names
from digits_jax.train.workdir import read_metrics, read_run
from experiments.common.detection_results import read_detection_rows
from experiments.common.provenance import RESULTS, provenance, read_result

FILE = Path(weights.__file__).parent / weights.PRETRAINED

SCORES = ("ap50", "f1", "count_accuracy", "false_per_megapixel")


def main(workdir: tyro.conf.Positional[Path]) -> None:
    """Rounds the run's best checkpoint to half precision and counts the errors of the result.

    Args:
        workdir: Work folder of the finished run.
    """
    run = read_run(workdir)
    step, params = load_best(workdir)
    record = _find_record(workdir)
    header = {
        "config": json.dumps(dataclasses.asdict(run.config)),
        "recipe": json.dumps(to_former_names(run.config)),
        HEADER_KEY: DEFAULT_CONFIG.to_json(),
        "seed": str(run.seed),
        "step": str(step),
        "commit": record["commit"],
        "hardware": json.dumps(record["hardware"]),
        "jax": provenance()["versions"]["jax"],
    }
    save_weights(FILE, params, header)
    errors = count_errors(load_weights(FILE), load_mnist().test)
    scores = {"test_errors": errors} | {
        row["images"]: {key: row[key] for key in SCORES if key in row}
        for row in _pretrained_detection_rows()
    }
    save_weights(FILE, params, header | {"scores": json.dumps(scores)})
    print(f"{FILE}: {FILE.stat().st_size / 2**20:.2f} MiB, {errors} test errors")


def _find_record(workdir: Path) -> dict[str, Any]:
    """Returns the record that `experiments.studies.accuracy` wrote of this run."""
    rows = read_metrics(workdir / "metrics.jsonl")
    by_step = {str(row.step): row.validation_accuracy for row in rows}
    for record in read_result("accuracy_standard").get("runs", []):
        if record["validation_accuracy_by_step"] == by_step:
            return dict(record)
    raise SystemExit(
        f"{RESULTS}/accuracy_standard.json has no run like {workdir}; run "
        "`python -m experiments.studies.accuracy` first"
    )


def _pretrained_detection_rows() -> list[dict[str, Any]]:
    sizes = [DEFAULT_CONFIG.min_size, DEFAULT_CONFIG.max_size]
    rows = read_detection_rows()
    return [row for row in rows if row["weights"] == "pretrained" and row["sizes"] == sizes]


if __name__ == "__main__":
    tyro.cli(main)
