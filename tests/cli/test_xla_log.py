"""XLA's log on the terminal of a command."""

import os
import subprocess
import sys

import pytest

# XLA logs an error, at the same level as its alarm about slow compilation, for a folder that
# cannot be made.
COMPILE = "import jax; jax.jit(lambda x: x + 1)(1)"
SCRIPT = f"""
import logging
from digits_jax.cli.main import main
try:
    main(["classify", "--help"])
except SystemExit:
    pass
{COMPILE}
logging.getLogger("jax").warning("a warning of JAX")
"""


def stderr_of(script: str, **variables: str) -> str:
    """Runs a script in another process and returns what it writes to standard error."""
    flags = "--xla_dump_to=/dev/null/folder"
    environment = {**os.environ, "XLA_FLAGS": flags, **variables}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stderr


@pytest.fixture(scope="module")
def xla_logs_an_error() -> None:
    """Skips a test where XLA logs no error for these programs."""
    if "Could not create directory" not in stderr_of(COMPILE):
        pytest.skip("this version of XLA logs no error for a folder that cannot be made")


@pytest.mark.usefixtures("xla_logs_an_error")
def test_commands_hide_errors_in_xlas_log_but_not_jaxs_warnings() -> None:
    printed = stderr_of(SCRIPT)
    assert "Could not create directory" not in printed
    assert "a warning of JAX" in printed


@pytest.mark.usefixtures("xla_logs_an_error")
def test_jax_logging_level_brings_xlas_log_back() -> None:
    assert "Could not create directory" in stderr_of(SCRIPT, JAX_LOGGING_LEVEL="ERROR")
