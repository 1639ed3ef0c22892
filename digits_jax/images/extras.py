"""The packages of extras, which need not be installed."""

import importlib.util
from importlib import import_module
from typing import Any

from digits_jax.images.errors import ImageError


def require(package: str, extra: str, subject: str) -> Any:
    """Imports a package that is part of an extra.

    Args:
      package: the name of the package.
      extra: the extra of digits-jax that installs it.
      subject: what needs it, as the beginning of a sentence such as "a.pdf is a PDF file".

    Raises:
      ImageError: it is not installed; the message names the extra.
    """
    if importlib.util.find_spec(package) is None:
        raise ImageError(
            f"{subject}, for which the package {package} is missing: install the extra, as with "
            f"pip install 'digits-jax[{extra}]'"
        )
    return import_module(package)
