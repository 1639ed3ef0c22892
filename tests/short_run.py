"""A short training run on few real digits, as a process: `short_run.py WORKDIR STEPS OPTION…`.

It is the real command, on few digits so that an evaluation takes no time.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from digits_jax.cli import main as cli
from digits_jax.cli import train as train_module
from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.train.named_configs import CONFIGS

SHORT = dataclasses.replace(CONFIGS["paper"], batch_size=16, steps=24, evaluate_every=4)


def first_digits(data_dir: Path | None = None, log: Callable[[str], None] = print) -> Mnist:
    """Returns the first 500 digits of each split."""
    return Mnist(*(Dataset(split.images[:500], split.labels[:500]) for split in load_mnist()))


if __name__ == "__main__":
    # The command line takes only the verified MNIST, so the process replaces its loader.
    setattr(train_module, "load_mnist", first_digits)  # noqa: B010
    options = {"--workdir": sys.argv[1], "--steps": sys.argv[2], "--seed": "1"}
    options |= {"--batch-size": "16", "--evaluate-every": "4"}
    words = [word for pair in options.items() for word in pair]
    cli.main(["train", "--config", "paper", *words, *sys.argv[3:]])
