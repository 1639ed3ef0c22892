"""Does the recipe reach the paper's 99.3 % (section 3.2.1), and 90 % by iteration 1000?

Command:   python experiments/accuracy.py --recipe paper --seeds 1
           python experiments/accuracy.py --recipe standard --seeds 0
Hardware:  2 CPU cores without a GPU, or any GPU.
Time:      paper about 90 minutes a seed on 2 cores, standard about 36.
Result:    experiments/results/accuracy_RECIPE.json and training_curve_RECIPE_SEED.png;
           the figures are in experiments/LOG.md and the README.

Runs go to runs/RECIPE-SEED and continue there if they were stopped; a finished one is only
evaluated.
"""

import dataclasses
import json
import shutil
import statistics
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.train.checkpoints import load_best
from digits_jax.train.config import CONFIGS
from digits_jax.train.evaluate import accuracy, count_errors
from digits_jax.train.loop import train
from digits_jax.train.workdir import read_metrics
from experiments.common.provenance import RESULTS, provenance, write_result


def main(
    recipe: Literal["paper", "standard"] = "standard",
    seeds: Annotated[list[int], tyro.conf.arg(metavar="SEED…")] = [0],  # noqa: B006
    workdirs: Path = Path("runs"),
) -> None:
    """Trains once a seed and adds what came of it to the runs already written down."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"accuracy_{recipe}.json"
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    for seed in seeds:
        run = _run(recipe, seed, workdirs / f"{recipe}-{seed}")
        same = (run["seed"], run["hardware"])
        runs = [other for other in runs if (other["seed"], other["hardware"]) != same] + [run]
        result = {
            "question": "Does it reach 99.3 % test accuracy, and 90 % by iteration 1000?",
            "recipe": {"name": recipe, **dataclasses.asdict(CONFIGS[recipe])},
            "runs": runs,
        }
        print(write_result(f"accuracy_{recipe}", result))


def _run(recipe: str, seed: int, workdir: Path) -> dict[str, Any]:
    made = provenance()
    train(recipe, workdir, seed)
    step, params = load_best(workdir)
    mnist = load_mnist()
    rows = read_metrics(workdir / "metrics.jsonl")
    shutil.copy(workdir / "training_curve.png", RESULTS / f"training_curve_{recipe}_{seed}.png")
    errors = count_errors(params, mnist.test)
    return {
        **made,
        "seed": seed,
        "checkpoint": step,
        "validation_accuracy": accuracy(params, mnist.validation),
        "test_accuracy": (len(mnist.test.labels) - errors) / len(mnist.test.labels),
        "test_errors": errors,
        "test_accuracy_at_the_last_step": rows[-1].test_accuracy,
        "test_accuracy_by_step": {row.step: row.test_accuracy for row in rows},
        "validation_accuracy_by_step": {row.step: row.validation_accuracy for row in rows},
        "training_minutes": round(rows[-1].seconds / 60, 2),
        "images_per_second_median": round(
            statistics.median(row.images_per_second for row in rows), 1
        ),
    }


if __name__ == "__main__":
    tyro.cli(main)
