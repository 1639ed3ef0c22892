"""What a run has learnt and forgotten: test errors before and after, on its digits and MNIST's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from digits_jax.data.mnist import Mnist
from digits_jax.models.cnn import Params
from digits_jax.runtime.files import write_text_atomically
from digits_jax.train.evaluate import count_errors
from digits_jax.train.training_data import TrainingData, read_digits_again
from digits_jax.train.workdir import RunInfo

COMPARISON_FILE = "comparison.json"  # in the work folder
TEST_PARTS = {"digits": "your own test digits", "mnist": "MNIST's test digits"}

Counts = dict[str, dict[str, Any]]  # by the names of TEST_PARTS


def count_test_errors(params: Params, data: TrainingData) -> Counts:
    """Returns the errors on the test digits: `digits`, of others than MNIST, and `mnist`."""
    parts = {"mnist": data.digits} if data.mnist is None else {"digits": data.digits}
    if data.mnist is not None:
        parts["mnist"] = data.mnist
    counts = {}
    for name, splits in parts.items():
        errors, examples = count_errors(params, splits.test), len(splits.test.labels)
        accuracy = (examples - errors) / examples
        counts[name] = {"errors": errors, "examples": examples, "accuracy": accuracy}
    return counts


def count_own_test_errors(
    params: Params, run: RunInfo, mnist: Mnist, log: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Returns errors, examples and accuracy on the test digits of a run on other digits.

    Args:
      params: the run's parameters.
      run: what its work folder says.
      mnist: MNIST.
      log: receives what was read and left out.

    Raises:
      DataError: the digits cannot be read again, or are no longer those of the run.
    """
    return count_test_errors(params, read_digits_again(run, mnist, log))["digits"]


def write_comparison(workdir: Path, step: int, before: Counts | None, after: Counts) -> None:
    """Writes `comparison.json`.

    Args:
      workdir: the work folder of the run.
      step: that of the checkpoint which is counted as after.
      before: the errors of the weights that the run started from; None without such.
      after: the errors of the checkpoint.
    """
    comparison = {"step": step, "before": before, "after": after}
    write_text_atomically(workdir / COMPARISON_FILE, json.dumps(comparison, indent=2) + "\n")


def read_comparison(workdir: Path) -> dict[str, Any] | None:
    """Reads `comparison.json`; returns None for a run on MNIST from random weights."""
    path = workdir / COMPARISON_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def describe_comparison(before: Counts | None, after: Counts) -> str:
    """Returns a sentence for each test part."""
    lines = []
    for name, counts in after.items():
        was = f"{before[name]['errors']} errors before, " if before else ""
        lines.append(
            f"{TEST_PARTS[name]}, {counts['examples']:,}: {was}{counts['errors']} errors now, "
            f"{counts['accuracy']:.2%} right"
        )
    return "\n".join(lines)


def describe_start(before: Counts) -> str:
    """Returns what the weights read to begin with, and a hint if most digits are read wrongly."""
    text = f"The weights to start from:\n{describe_comparison(None, before)}"
    if before.get("digits", {}).get("accuracy", 1.0) < 0.5:
        text += (
            "\nMost of your digits are read wrongly: look at them and their labels. If rows and "
            "columns are exchanged, as in EMNIST, begin the source with emnist:"
        )
    return text
