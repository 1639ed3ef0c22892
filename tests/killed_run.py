"""Runs `digits-jax` with a detector that takes 20 ms an image, as a process to be killed."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from command_line import one_digit

from digits_jax.cli.main import main
from digits_jax.detect.detector import Detector


def slow_detect_each(_: Detector, images: Any) -> Iterator[Any]:
    """Takes the place of `Detector.detect_each`."""
    for name, image in images:
        time.sleep(0.02)
        yield name, image, one_digit()


if __name__ == "__main__":
    setattr(Detector, "detect_each", slow_detect_each)  # noqa: B010
    main(sys.argv[1:])
