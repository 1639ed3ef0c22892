"""The command line as a person types it, and a detection that finds the same in any image."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits_jax.cli.main import main
from digits_jax.detect.detector import Detections


def status(*arguments: object) -> object:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return exit_.code
    return 0


def saved(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def one_digit(*, overflow: bool = False) -> Detections:
    """What a fake detection finds in any image."""
    box, scores = np.array([[1, 2, 3, 4]]), np.array([0.99], np.float32)
    return Detections(box, box.astype(np.float32), np.array([5]), scores, overflow)


def finding(found: Detections) -> Callable[..., Iterator[tuple[Any, Any, Detections]]]:
    """In place of `stream.detect_each`."""
    return lambda params, images, **_: ((name, image, found) for name, image in images)
