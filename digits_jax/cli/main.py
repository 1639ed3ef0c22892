"""The command line, `digits-jax`."""

import atexit
import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from digits_jax import __version__
from digits_jax.data.mnist import DataError
from digits_jax.images.read import ImageError
from digits_jax.models.weights import WeightsError
from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.runtime.progress import log
from digits_jax.train.config import ConfigError
from digits_jax.train.workdir import WorkdirError

COMMANDS = {  # and the modules that they are in
    "train": "cli.train", "evaluate": "cli.train", "detect": "cli.detect", "classify": "cli.detect",
    "maps": "cli.detect", "score": "cli.score", "benchmark": "cli.benchmark",
    "export": "cli.export", "demo": "demo.page",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 done, 1 failed, 2 wrong usage, 128 + n stopped by signal n."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns that it reads what it reads
    warnings.filterwarnings("ignore", module="PIL")  # of metadata that the pixels do not need
    if arguments == ["--version"]:
        print(f"digits-jax {__version__}")
        return
    enable_compilation_cache()
    # Else the collector looks at all that JAX has made once more, for a third of a second.
    atexit.register(gc.freeze)

    # To import all of them takes longer than to find a digit.
    asked = [name for name in arguments[:1] if name in COMMANDS] or [*COMMANDS]
    functions = {name: _command(name, arguments) for name in asked}
    description = "Reads handwritten digits with a small convolutional network. --version tells it."
    try:
        tyro.extras.subcommand_cli_from_dict(
            functions, prog="digits-jax", description=description, args=arguments
        )
    except ConfigError as error:
        log(f"digits-jax: {error}")
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (WorkdirError, DataError, WeightsError, ImageError, OSError) as error:
        log(f"digits-jax: {error}")
        sys.exit(1)
    except ValueError as error:
        if arguments[0] in ("train", "evaluate"):  # which refuse nothing that way
            raise
        log(f"digits-jax: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        log("digits-jax: interrupted")
        sys.exit(130)


def _command(name: str, arguments: Sequence[str]) -> Callable[..., Any]:
    module: Any = importlib.import_module(f"digits_jax.{COMMANDS[name]}")
    if name == "train":
        return module.train_command(module.base_recipe(arguments))
    return getattr(module, name)
