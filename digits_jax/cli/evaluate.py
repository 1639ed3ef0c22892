"""The command `digits-jax evaluate`."""

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import tyro

from digits_jax.cli.arguments import DataDirArgument
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Mnist, load_mnist
from digits_jax.runtime.progress import log
from digits_jax.train.checkpoints import load_best
from digits_jax.train.comparison import count_own_test_errors
from digits_jax.train.evaluate import count_errors
from digits_jax.train.workdir import read_run


def evaluate(
    workdir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="WORKDIR")],
    /,
    *,
    json: bool = False,
    data_dir: DataDirArgument = None,
) -> None:
    """Count a trained network's errors on the test digits: MNIST's 10,000, and the run's own.

    The checkpoint with the best accuracy on the validation digits is evaluated, or the last one if
    the run trained on them. The result goes to standard output, and no file is written. The digits
    of a run with --digits are read again from the paths that were given then, and are divided as
    they were. If they are not there or have changed, a line on standard error says so, and only
    MNIST's are counted.

    Args:
        workdir: A folder that `digits-jax train` has written.
        json: Print one JSON object instead of a sentence.
        data_dir: This folder holds the four idx files of MNIST (raw or .gz), or mnist/3.0.1 as
            prepared by TensorFlow Datasets.
    """
    result = evaluate_run(workdir, lambda: load_mnist(data_dir, log), count_own=True)
    if json:
        print(dumps(result))
        return
    of_mnist = " on MNIST" if "digits" in result else ""
    print(
        f"{result['test_accuracy']:.2%} test accuracy{of_mnist}: {result['errors']} errors in "
        f"{result['examples']:,} digits (step {result['step']:,} of {workdir})"
    )
    if own := result.get("digits"):
        print(
            f"{own['accuracy']:.2%} test accuracy on your own digits: {own['errors']} errors in "
            f"{own['examples']:,}"
        )


def evaluate_run(
    workdir: Path, load: Callable[[], Mnist], *, count_own: bool = False
) -> dict[str, Any]:
    """Counts the errors of a run's best checkpoint on the test digits of MNIST.

    Args:
      workdir: the run's folder.
      load: returns MNIST; it is called once the checkpoint is loaded.
      count_own: whether to count the errors on the run's own test digits, too, if it trained on
        others than MNIST's.

    Returns:
      The object that `--json` prints. "digits" is there if the run's own are counted, and None if
      they cannot be.

    Raises:
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
      DataError: MNIST could not be loaded.
    """
    step, params = load_best(workdir)
    mnist, run = load(), read_run(workdir)
    errors, examples = count_errors(params, mnist.test), len(mnist.test.labels)
    result: dict[str, Any] = {
        "test_accuracy": (examples - errors) / examples,
        "errors": errors,
        "examples": examples,
        "step": step,
        "seed": run.seed,
        "workdir": str(workdir),
    }
    if count_own and run.digits is not None:
        try:
            result["digits"] = count_own_test_errors(params, run, mnist)
        except (DataError, OSError) as error:
            log(f"digits-jax: the run's own test digits are not counted: {error}")
            result["digits"] = None
    return result
