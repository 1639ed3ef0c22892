"""The command `digits-jax evaluate`."""

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import tyro

from digits_jax.cli.arguments import DataDirArgument
from digits_jax.data.mnist import Mnist, load_mnist
from digits_jax.runtime.progress import log
from digits_jax.train.checkpoints import load_best
from digits_jax.train.evaluate import count_errors
from digits_jax.train.workdir import read_run


def evaluate(
    workdir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="WORKDIR")],
    /,
    *,
    json: bool = False,
    data_dir: DataDirArgument = None,
) -> None:
    """Count a trained network's errors on the 10,000 test digits of MNIST.

    The checkpoint with the best accuracy on the validation digits is evaluated, or the last one if
    the run trained on them. The result goes to standard output, and no file is written.

    Args:
        workdir: A folder that `digits-jax train` has written.
        json: Print one JSON object instead of a sentence.
        data_dir: This folder holds the four idx files of MNIST (raw or .gz), or mnist/3.0.1 as
            prepared by TensorFlow Datasets.
    """
    result = evaluate_run(workdir, lambda: load_mnist(data_dir, log))
    if json:
        print(dumps(result))
    else:
        print(
            f"{result['test_accuracy']:.2%} test accuracy: {result['errors']} errors in "
            f"{result['examples']:,} digits (step {result['step']:,} of {workdir})"
        )


def evaluate_run(workdir: Path, load: Callable[[], Mnist]) -> dict[str, Any]:
    """Counts the errors of a run's best checkpoint on the test digits.

    Args:
      workdir: the run's folder.
      load: returns MNIST; it is called once the checkpoint is loaded.

    Returns:
      The object that `--json` prints.

    Raises:
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
      DataError: MNIST could not be loaded.
    """
    step, params = load_best(workdir)
    test = load().test
    errors, examples = count_errors(params, test), len(test.labels)
    return {
        "test_accuracy": (examples - errors) / examples,
        "errors": errors,
        "examples": examples,
        "step": step,
        "seed": read_run(workdir).seed,
        "workdir": str(workdir),
    }
