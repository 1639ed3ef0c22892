"""The digits that a run trains on: MNIST's, or others, with MNIST's beside them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from digits_jax.data.custom.load import load_custom_digits
from digits_jax.data.custom.splits import CustomDigits, split_digits
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import MNIST_SHA256, Dataset, Mnist
from digits_jax.train.config import TrainConfig
from digits_jax.train.workdir import RunInfo

Digits = CustomDigits | Dataset | str | Path | Sequence[str | Path]


class TrainingData(NamedTuple):
    """The digits of a run."""

    digits: Mnist  # the splits that are trained on, chosen by and tested
    mnist: Mnist | None = None  # MNIST, if the digits are others
    sha256: str = MNIST_SHA256  # of the digits
    description: dict[str, Any] | None = None  # what run.json records of digits that are others


def choose_digits(digits: Digits | None, mnist: Mnist, log: Callable[[str], None]) -> TrainingData:
    """Returns the digits of a run.

    Args:
      digits: what to train on instead of MNIST: sources as for `load_custom_digits`, images with
        their labels, or digits that are divided already. None, and a copy of MNIST, are MNIST.
      mnist: MNIST.
      log: receives what was read and left out.

    Raises:
      DataError: the digits cannot be read, or a split would be empty.
    """
    if digits is None:
        return TrainingData(mnist)
    if isinstance(digits, Dataset):
        digits = split_digits(digits, mnist)
    elif not isinstance(digits, CustomDigits):
        sources = [digits] if isinstance(digits, str | Path) else digits
        digits = load_custom_digits(sources, mnist, log)
    if digits.is_mnist:
        return TrainingData(mnist)
    return TrainingData(digits.splits, mnist, digits.sha256, digits.describe())


def read_digits_again(run: RunInfo, mnist: Mnist, log: Callable[[str], None]) -> TrainingData:
    """Reads the digits of a run from the sources that it recorded, divided as they were then.

    Args:
      run: a run on other digits than MNIST's.
      mnist: MNIST.
      log: as for `choose_digits`.

    Raises:
      DataError: the sources cannot be read, hold other digits now, or are not recorded.
    """
    sources = (run.digits or {}).get("sources")
    if not sources:
        raise DataError(
            "the run's own digits were arrays, which are not kept: expected a folder or files that "
            "can be read again. Count with digits_jax.train.evaluate.count_errors"
        )
    data = choose_digits(sources, mnist, log)
    if data.sha256 != run.data_sha256:
        raise DataError(
            f"{', '.join(sources)}: expected the digits that the run was trained on, found others "
            f"(SHA-256 {data.sha256[:12]}…, not {run.data_sha256[:12]}…), so that its test digits "
            "are not known. Put them back as they were, and use the same versions of packages, or "
            "train again in another --workdir"
        )
    return data


def select_training_digits(digits: Mnist, config: TrainConfig) -> Dataset:
    """Returns the digits of the split `train`, with those for validation if the config says so."""
    if not config.train_on_validation:
        return digits.train
    parts = (digits.train, digits.validation)
    return Dataset(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
