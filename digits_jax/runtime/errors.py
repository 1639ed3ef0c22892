"""The package's own errors. A message says what was expected, what was given, and what to do."""


class DigitsJaxError(Exception):
    """Base class of the package's own errors.

    The command line prints the message and exits with `exit_code`.
    """

    exit_code = 1


class ArgumentError(DigitsJaxError, ValueError):
    """An argument of a function or an option of a command is not allowed."""


def first_line(error: BaseException) -> str:
    """Returns the first 300 characters of the first line of an error's text."""
    return (str(error).strip() or repr(error)).splitlines()[0][:300]
