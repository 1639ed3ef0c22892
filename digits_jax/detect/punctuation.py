"""Slashes and commas, which look like a 1 by themselves; their line tells them apart.

In a line of digits of one height, a slash is a straight stroke that leans to the right, is taller
than the digits, and goes on below them. A comma or a point is much lower than they are, and lies at
their feet. Where there is no such line, as in a scene of digits of all sizes, nothing is removed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from digits_jax.detect.candidates import Candidate
from digits_jax.detect.steps import PunctuationConfig

ONE = 1  # the class that punctuation is taken for


DOT_HEIGHT = 0.35  # of the height of a line's digits: what is as small as this is none of them
SAME_SHARE, SAME_HEIGHT = 0.7, 1.6  # of the smaller box; of the lower one: two readings of a digit


class Extent(NamedTuple):
    """The rows of ink, px."""

    top: float
    bottom: float  # exclusive

    @property
    def height(self) -> float:
        """The number of rows."""
        return self.bottom - self.top


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
    line = boxes[neighbours_in_line(k, boxes, config)]
    if len(line) < config.min_neighbours:
        return False
    top, bottom = np.median(line[:, 1]), np.median(line[:, 3])
    height = bottom - top
    tolerance = config.line_tolerance * height
    if (np.abs(line[:, [1, 3]] - [top, bottom]) > tolerance).any():
        return False
    own = Extent(*boxes[k, [1, 3]].tolist())
    digits_line = Extent(float(top), float(bottom))
    is_sign = is_low(own, digits_line, config)
    return is_sign or is_slash(digits[k].mask, own, digits_line, config)


def digits_of_numbers(
    boxes_xyxy: Num[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"], config: PunctuationConfig
) -> list[int]:
    """Returns which detections numbers are made of.

    Left out are points that are read as small digits, such as 0s, and second readings of a digit
    together with a sign beside it.

    Args:
      boxes_xyxy: all detections of a page, px.
      scores: theirs, 0–1.
      config: the constants of the rules.
    """
    boxes = boxes_xyxy.astype(float)
    kept = list[int]()
    for k in np.argsort(-scores, kind="stable").tolist():
        if not any(_is_same(boxes[k], boxes[better]) for better in kept):
            kept.append(k)
    return [k for k in sorted(kept) if not _is_dot(kept.index(k), boxes[kept], config)]


def _is_same(box: Float[np.ndarray, "4"], digit: Float[np.ndarray, "4"]) -> bool:
    """Returns whether one box holds most of another that is about as high."""
    shared = np.minimum(box[2:], digit[2:]) - np.maximum(box[:2], digit[:2])
    sides = np.stack([box[2:] - box[:2], digit[2:] - digit[:2]])
    share = shared.clip(0).prod() / sides.prod(axis=1).min()
    return bool(share >= SAME_SHARE and sides[:, 1].max() <= SAME_HEIGHT * sides[:, 1].min())


def _is_dot(k: int, boxes: Float[np.ndarray, "n 4"], config: PunctuationConfig) -> bool:
    """Returns whether a detection is much smaller than its neighbours, or low and at their feet."""
    line = boxes[neighbours_in_line(k, boxes, config)]
    if not len(line):
        return False
    own = Extent(*boxes[k, [1, 3]].tolist())
    digits_line = Extent(float(np.median(line[:, 1])), float(np.median(line[:, 3])))
    return own.height <= DOT_HEIGHT * digits_line.height or is_low(own, digits_line, config)


def is_low(own: Extent, line: Extent, config: PunctuationConfig) -> bool:
    """Returns whether ink has the height and the place of a comma or a point.

    Args:
      own: the rows of the ink.
      line: the rows of the digits of its line.
      config: the constants of the rules.
    """
    is_short = own.height <= config.comma_height * line.height
    return bool(is_short and own.bottom >= line.bottom - config.line_tolerance * line.height)


def is_slash(
    mask: Bool[np.ndarray, "h w"], own: Extent, line: Extent, config: PunctuationConfig
) -> bool:
    """Returns whether ink is a straight stroke that leans right and is longer than the digits.

    Args:
      mask: the pixels of ink.
      own: as the other arguments, those of `is_low`.
      line: …
      config: …
    """
    is_longer = own.height >= config.slash_height * line.height and own.top <= line.top
    is_below = own.bottom >= line.bottom + config.slash_depth * line.height
    return bool(is_longer and is_below and leans_right(mask, config))


def neighbours_in_line(
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


def leans_right(mask: Bool[np.ndarray, "h w"], config: PunctuationConfig) -> bool:
    """Returns whether ink is one straight stroke whose upper end lies further to the right."""
    y, x = np.nonzero(mask)
    axes = np.cov(np.stack([x, y]))
    variances, directions = np.linalg.eigh(axes)
    along = directions[:, 1] * np.sign(directions[1, 1] or 1.0)  # downwards
    is_straight = variances[0] <= config.slash_breadth**2 * variances[1]
    return bool(is_straight and -along[0] >= np.sin(np.radians(config.slash_angle_deg)))
