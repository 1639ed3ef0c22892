"""A short run on the first real digits, as a process of its own: `short_run.py WORKDIR STEPS`.

It is the real `train`, on few digits so that an evaluation takes no time.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from digits_jax import training
from digits_jax.data import Dataset, Mnist, load_mnist
from digits_jax.recipe import RECIPES


def first_digits(data_dir: Path | None = None, say: Callable[[str], None] = print) -> Mnist:
    """The first digits of each split."""
    return Mnist(*(Dataset(split.images[:500], split.labels[:500]) for split in load_mnist()))


SHORT = dataclasses.replace(RECIPES["paper"], batch_size=16, steps=24, evaluate_every=4)

if __name__ == "__main__":
    setattr(training, "load_mnist", first_digits)  # noqa: B010
    try:
        training.train(dataclasses.replace(SHORT, steps=int(sys.argv[2])), sys.argv[1], seed=1)
    except training.Interrupted as stop:
        sys.exit(128 + stop.signum)
