"""Data in packages of Debian: where they are, and how to get them."""

from pathlib import Path

from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.files import cache_folder


def debian_path(package: str, path: str, otherwise: str) -> Path:
    """Returns a file or folder of a package of Debian: the one in the cache, or the installed one.

    Args:
      package: its name.
      path: what is sought in it, such as `usr/share/datasets`.
      otherwise: what to do without it, for the error message.

    Raises:
      DigitsJaxError: it is in neither.
    """
    paths = [root / path for root in (cache_folder(), Path("/"))]
    for there in paths:
        if there.exists():
            return there
    raise DigitsJaxError(
        f"{package} is not there: expected {paths[0]} or {paths[1]}; get it from Debian with "
        f"`apt-get install {package}`, or with `apt-get download {package} && dpkg -x {package}_*"
        f".deb {cache_folder()}`, or {otherwise}"
    )
