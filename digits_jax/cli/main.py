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

from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.progress import log
from digits_jax.version import __version__

COMMANDS = (
    "train",
    "evaluate",
    "detect",
    "classify",
    "maps",
    "score",
    "benchmark",
    "export",
    "demo",
)


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
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except DigitsJaxError as error:
        log(f"digits-jax: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        log(f"digits-jax: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        log("digits-jax: interrupted")
        sys.exit(130)


def _command(name: str, arguments: Sequence[str]) -> Callable[..., Any]:
    module: Any = importlib.import_module(f"digits_jax.cli.{name}")
    if name == "train":
        return module.train_command(module.base_recipe(arguments))
    return getattr(module, name)
