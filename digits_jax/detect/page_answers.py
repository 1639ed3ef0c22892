"""What a page's digits answer beside the detections themselves: numbers."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.number_patterns import Automaton
from digits_jax.detect.numbers import read_numbers
from digits_jax.detect.punctuation import digits_of_numbers
from digits_jax.detect.signs import find_marks


class Questions(NamedTuple):
    """What is asked of each page."""

    numbers: bool = False
    pattern: Automaton | None = None  # what each number has to fit


def answer(
    questions: Questions,
    ink: UInt8[np.ndarray, "H W"] | None,
    detections: Detections,
    config: DetectorConfig,
) -> dict[str, Any]:
    """Returns what is asked, as in the JSON object of a page.

    Args:
      questions: what is asked.
      ink: the page, ink bright; None if it is larger than memory. Numbers then have no signs.
      detections: what was detected in it.
      config: the constants of detection.
    """
    if not questions.numbers:
        return {}
    boxes = detections.boxes_xyxy
    digits = digits_of_numbers(boxes, detections.scores, config.punctuation)
    marks = [] if ink is None else find_marks(ink, boxes[digits], config)
    numbers = read_numbers(marks, detections, digits, config, questions.pattern)
    return {"numbers": [number.to_json() for number in numbers]}
