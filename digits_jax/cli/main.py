"""The command line `digits-jax`: it runs one command and turns errors into exit statuses."""

import atexit
import gc
import importlib
import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union

import jax
import tyro

from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.runtime.errors import DigitsJaxError, first_line
from digits_jax.runtime.progress import log
from digits_jax.version import __version__

# Each command is a function of its own name in a module of its own name.
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
# What each command tells the user to do if a device has too little memory.
LESS_MEMORY = {
    "train": "lower --batch-size",
    "benchmark": "lower --batch-size and --image-size",
}
DESCRIPTION = (
    "Find and read handwritten digits with a small convolutional network.\n\n"
    "Type `digits-jax COMMAND --help` for the options of a command, and `digits-jax --version` for "
    "the version. Results go to standard output; messages and progress go to standard error. The "
    "exit status is 0 on success, 1 if something failed, 2 for wrong usage, and 128 + n after "
    "signal n."
)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
      argv: the arguments after the program's name; by default those of this process.

    Raises:
      SystemExit: with status 1 if the command failed, 2 for wrong usage, and 128 + n if signal n
        stopped it; also with 0 after `--help`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"digits-jax {__version__}")
        return
    _silence_libraries()
    enable_compilation_cache()
    # At exit the garbage collector would walk through all objects of JAX, which takes 0.3 s.
    atexit.register(gc.freeze)
    try:
        _run_command(arguments)
    except BrokenPipeError:  # the reader of standard output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (DigitsJaxError, OSError) as error:  # anything else is a bug and shows its traceback
        log(f"digits-jax: {error}")
        sys.exit(error.exit_code if isinstance(error, DigitsJaxError) else 1)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        remedy = LESS_MEMORY.get(arguments[0], "give smaller pictures")
        reason = first_line(error).removeprefix("RESOURCE_EXHAUSTED: ")
        log(f"digits-jax: the device has too little memory: {reason} To need less, {remedy}")
        sys.exit(1)
    except KeyboardInterrupt:
        log("digits-jax: interrupted")
        sys.exit(130)


def _silence_libraries() -> None:
    """Turns off messages of libraries that tell a user of the commands nothing.

    While XLA compiles for more than two minutes, its slow_operation_alarm.cc logs "Very slow
    compile? If you want to file a bug, …" at level ERROR. No flag turns off the alarm alone, so
    XLA's log is limited to FATAL. Errors that matter also come as Python exceptions, with the same
    text. JAX_LOGGING_LEVEL=ERROR, or another level, brings the log back.

    The option is set here and not by TF_CPP_MIN_LOG_LEVEL: XLA reads that variable once, while JAX
    is imported, which is before this module runs.
    """
    if "JAX_LOGGING_LEVEL" not in os.environ:
        jax.config.update("jax_logging_level", "CRITICAL")
        for name in ("jax", "jaxlib"):  # the option also hides JAX's own warnings
            logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns about every restore
    warnings.filterwarnings("ignore", module="PIL")  # damaged metadata does not affect the pixels


def _run_command(arguments: list[str]) -> None:
    """Parses the arguments and calls the command's function.

    Only the named command is imported, because to import all takes longer than to search an image.
    """
    if arguments and arguments[0] in COMMANDS:
        named = {arguments[0]: _load_command(arguments[0], arguments)}
        tyro.extras.subcommand_cli_from_dict(
            named, prog="digits-jax", description=DESCRIPTION, args=arguments
        )
        return
    commands: list[Any] = []
    for name in COMMANDS:
        function = _load_command(name, arguments)
        summary = str(function.__doc__).split("\n\n")[0]  # the first paragraph
        config = tyro.conf.subcommand(name, constructor=function, description=summary)
        commands.append(Annotated[Any, config])
    any_command: Any = Union[tuple(commands)]  # noqa: UP007
    tyro.cli(any_command, prog="digits-jax", description=DESCRIPTION, args=arguments)


def _load_command(name: str, arguments: Sequence[str]) -> Callable[..., Any]:
    """Imports a command's module and returns its function."""
    module: Any = importlib.import_module(f"digits_jax.cli.{name}")
    if name == "train":
        function = module.train_command(module.base_config(arguments))
    else:
        function = getattr(module, name)
    function.__doc__ = _join_lines(inspect.getdoc(function) or "")
    return function


def _join_lines(docstring: str) -> str:
    """Joins the lines of each paragraph and of each argument, which tyro wraps for the terminal."""
    paragraphs_joined = re.sub(r"(?<=[^\n])\n(?=\S)", " ", docstring)
    return re.sub(r"\n {8,}", " ", paragraphs_joined)  # arguments are indented by 4 spaces
