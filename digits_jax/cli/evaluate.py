"""The command `digits-jax evaluate`."""

from json import dumps
from pathlib import Path
from typing import Any

import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.runtime.progress import log
from digits_jax.train.checkpoints import load_best
from digits_jax.train.evaluate import count_errors
from digits_jax.train.workdir import read_run


def evaluate(
    workdir: tyro.conf.Positional[Path],
    /,
    *,
    json: bool = False,
    data_dir: Path | None = None,
) -> None:
    """Count a trained network's errors on the 10,000 test digits.

    Args:
        workdir: A folder that `digits-jax train` has written to.
        json: Print one JSON object instead of a sentence.
        data_dir: Folder with MNIST, as for `train`.
    """
    result = evaluate_run(workdir, data_dir)
    if json:
        print(dumps(result))
    else:
        print(
            f"{result['test_accuracy']:.2%} test accuracy: {result['errors']} errors in "
            f"{result['examples']:,} digits (step {result['step']:,} of {workdir})"
        )


def evaluate_run(workdir: Path, data_dir: Path | None) -> dict[str, Any]:
    step, params = load_best(workdir)
    test = load_mnist(data_dir, log).test
    errors, examples = count_errors(params, test), len(test.labels)
    return {
        "test_accuracy": (examples - errors) / examples,
        "errors": errors,
        "examples": examples,
        "step": step,
        "seed": read_run(workdir).seed,
        "workdir": str(workdir),
    }
