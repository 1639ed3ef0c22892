"""`digits-jax` with a detection that takes 20 ms, as a process to be killed."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from command_line import one_digit

from digits_jax.cli.main import main
from digits_jax.detect import batched as stream


def slowly(params: Any, images: Any, **_: Any) -> Iterator[Any]:
    """In place of `stream.detect_each`."""
    for name, image in images:
        time.sleep(0.02)
        yield name, image, one_digit()


if __name__ == "__main__":
    stream.detect_each = slowly
    main(sys.argv[1:])
