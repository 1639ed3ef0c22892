"""The digits that a run trains on: MNIST's, or others, with MNIST's beside them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from digits_jax.data.custom.load import load_custom_digits
from digits_jax.data.custom.splits import CustomDigits, split_digits
from digits_jax.data.mnist import MNIST_SHA256, Dataset, Mnist
from digits_jax.train.config import TrainConfig

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


def select_training_digits(digits: Mnist, config: TrainConfig) -> Dataset:
    """Returns the digits of the split `train`, with those for validation if the config says so."""
    if not config.train_on_validation:
        return digits.train
    parts = (digits.train, digits.validation)
    return Dataset(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
