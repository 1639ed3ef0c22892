"""The commands `digits-jax train` and `digits-jax evaluate`."""

import sys
from collections.abc import Callable, Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.runtime.progress import log
from digits_jax.train.checkpoints import load_best
from digits_jax.train.config import CONFIGS, TrainConfig
from digits_jax.train.evaluate import count_errors
from digits_jax.train.loop import Diverged, Interrupted, train
from digits_jax.train.workdir import read_run


def base_recipe(arguments: Sequence[str]) -> str:
    """The recipe whose fields the other options override, and that `--help` shows."""
    named = [
        value.removeprefix("--recipe=")
        for option, value in zip(["", *arguments], arguments, strict=False)
        if option == "--recipe" or value.startswith("--recipe=")
    ]
    return named[-1] if named and named[-1] in CONFIGS else "standard"


def train_command(base: str) -> Callable[..., None]:
    """The command `train` with a recipe's fields as its options' defaults."""

    def command(
        *,
        recipe: Literal["standard", "paper"] = base,  # type: ignore[assignment]
        workdir: Path = Path("runs") / base,
        seed: int = 0,
        data_dir: Path | None = None,
        fields: Annotated[TrainConfig, tyro.conf.arg(name="")] = CONFIGS[base],
    ) -> None:
        """Train the network on MNIST; the same command again goes on where it stopped.

        Args:
            recipe: The recipe to start from; the options below override its fields.
            workdir: Folder for checkpoints, metrics.jsonl and training_curve.png.
            seed: Seed of the initial parameters, the sampling and the shifts.
            data_dir: Folder with the four MNIST idx files (raw or .gz) or a TFDS-prepared mnist.
                Without it: the cache, a TFDS dataset, or the copy on the package index.
            fields: The recipe itself, each field an option.
        """
        try:
            train(fields, workdir, seed, data_dir=data_dir)
        except Diverged as error:
            log(f"digits-jax: {error}")
            sys.exit(1)
        except Interrupted as stop:
            log(f"digits-jax: {stop}; the same command goes on from there")
            sys.exit(128 + stop.signum)
        result = _evaluate(workdir, data_dir)
        log(
            f"Test accuracy {result['test_accuracy']:.2%}: {result['errors']} errors in "
            f"{result['examples']:,} digits, at step {result['step']:,}, the best kept on the "
            "validation digits.\n"
            f"  curve        {workdir / 'training_curve.png'}\n"
            f"  record       {workdir / 'metrics.jsonl'}\n"
            f"  checkpoints  {workdir / 'checkpoints'}\n"
            f"  again        digits-jax evaluate {workdir}"
        )

    return command


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
    result = _evaluate(workdir, data_dir)
    if json:
        print(dumps(result))
    else:
        print(
            f"{result['test_accuracy']:.2%} test accuracy: {result['errors']} errors in "
            f"{result['examples']:,} digits (step {result['step']:,} of {workdir})"
        )


def _evaluate(workdir: Path, data_dir: Path | None) -> dict[str, Any]:
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
