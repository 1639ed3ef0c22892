"""The errors that the package raises on purpose: each says what was expected, what came, what to do."""


class DigitsJaxError(Exception):
    """The root of the package's own errors: catch it to catch them all.

    The command line prints its message and exits with `exit_code`.
    """

    exit_code = 1


class ArgumentError(DigitsJaxError, ValueError):
    """An argument of a function or a command is outside its range."""
