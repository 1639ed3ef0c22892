"""Slashes and commas, which look like a 1 by themselves; their line tells them apart.

In a line of digits of one height, a slash is a straight stroke that leans to the right, is taller
than the digits, and goes on below them. A comma or a point is much lower than they are, and lies at
their feet. Where there is no such line, as in a scene of digits of all sizes, nothing is removed.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import PunctuationConfig

ONE = 1  # the class that punctuation is taken for


def remove_punctuation(digits: Sequence[Candidate], config: PunctuationConfig) -> list[Candidate]:
    """Returns the digits of an image without the 1s that are slashes, commas or points.

    Args:
      digits: all digits of one image.
      config: the constants of the rules.
    """
    if not any(digit.label == ONE for digit in digits):
        return list(digits)
    boxes = np.array([digit.box for digit in digits], float)
    return [
        digit
        for k, digit in enumerate(digits)
        if digit.label != ONE or not _is_punctuation(k, digits, boxes, config)
    ]


def _is_punctuation(
    k: int,
    digits: Sequence[Candidate],
    boxes: Float[np.ndarray, "n 4"],
    config: PunctuationConfig,
) -> bool:
    line = boxes[_neighbours_in_line(k, boxes, config)]
    if len(line) < config.min_neighbours:
        return False
    top, bottom = np.median(line[:, 1]), np.median(line[:, 3])
    height = bottom - top
    tolerance = config.line_tolerance * height
    if (np.abs(line[:, [1, 3]] - [top, bottom]) > tolerance).any():
        return False
    own_top, own_bottom = boxes[k, [1, 3]]
    own_height = own_bottom - own_top
    if own_height <= config.comma_height * height:
        return bool(own_bottom >= bottom - tolerance)
    is_longer = own_height >= config.slash_height * height and own_top <= top
    is_below = own_bottom >= bottom + config.slash_depth * height
    return bool(is_longer and is_below and _leans_right(digits[k].mask, config))


def _neighbours_in_line(
    k: int, boxes: Float[np.ndarray, "n 4"], config: PunctuationConfig
) -> Int[np.ndarray, " m"]:
    """Returns the nearest other digits to the left and right at the same height, four at most."""
    heights = boxes[:, 3] - boxes[:, 1]
    overlap = np.minimum(boxes[:, 3], boxes[k, 3]) - np.maximum(boxes[:, 1], boxes[k, 1])
    centres = boxes[:, [0, 2]].mean(axis=1)
    distance = np.abs(centres - centres[k])
    near = (distance < config.max_distance * heights) & (overlap > 0)
    near[k] = False
    indices = np.flatnonzero(near)
    return indices[np.argsort(distance[indices], kind="stable")][:4]


def _leans_right(mask: Bool[np.ndarray, "h w"], config: PunctuationConfig) -> bool:
    """Returns whether ink is one straight stroke whose upper end lies further to the right."""
    y, x = np.nonzero(mask)
    axes = np.cov(np.stack([x, y]))
    variances, directions = np.linalg.eigh(axes)
    along = directions[:, 1] * np.sign(directions[1, 1] or 1.0)  # downwards
    is_straight = variances[0] <= config.slash_breadth**2 * variances[1]
    return bool(is_straight and -along[0] >= np.sin(np.radians(config.slash_angle_deg)))
