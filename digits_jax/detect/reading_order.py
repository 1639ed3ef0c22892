"""Digits into lines, as a person reads them: top to bottom, left to right.

The lines of a page share a slope. It is the one along which most neighbours stand level; on the
page turned by it, digits are followed from left to right, each continuing the line whose end it
stands beside. So a line may tilt, and bend a little.
"""

import numpy as np
from jaxtyping import Float, Int, Num

STEEPEST, STEP = 20.0, 1.0  # degrees: the slopes that are tried
NEIGHBOURS = 5.0  # heights within which two digits say something of the slope
LEVEL = 0.3  # heights off by which two digits hardly stand level any more
BESIDE = 0.3  # of the lower digit's height that has to lie beside the line's end
SPACE = 1.0  # heights: a wider gap, of about one and a half widths, parts two numbers


def read_lines(boxes_xyxy: Num[np.ndarray, "n 4"], labels: Int[np.ndarray, " n"]) -> list[str]:
    """Reads digits as lines of numbers.

    Args:
      boxes_xyxy: `[n, 4]` px, tight around the digits, in any order.
      labels: `[n]` int, 0–9.

    Returns:
      The lines, from the top, such as "4071 23": a gap wider than the line's digits are high (the
      median of them) becomes a space. The order of the digits given does not matter.
    """
    order = np.lexsort((labels, *boxes_xyxy.T))
    boxes, digits = boxes_xyxy[order], labels[order]
    return [_spaced(boxes[line], digits[line]) for line in find_lines(boxes)]


def find_lines(boxes_xyxy: Num[np.ndarray, "n 4"]) -> list[list[int]]:
    """Groups boxes into lines, which may be up to 20° steep and bend a little.

    Args:
      boxes_xyxy: `[n, 4]` px, tight around the digits.

    Returns:
      The indices of each line's boxes, left to right; the lines from top to bottom.
    """
    if not len(boxes_xyxy):
        return []
    centres, heights = _centres(boxes_xyxy), _heights(boxes_xyxy)
    along, down = _turned(centres, _slope(centres, heights))
    lines: list[list[int]] = []
    for k in np.lexsort((*boxes_xyxy.T, down, along)).tolist():
        beside = [_beside(down, heights, line[-1], k) for line in lines]
        best = int(np.argmax(beside)) if beside else 0
        if beside and beside[best] >= BESIDE:
            lines[best].append(k)
        else:
            lines.append([k])
    return sorted(lines, key=lambda line: float(down[line].mean()))


def _beside(down: np.ndarray, heights: np.ndarray, i: int, j: int) -> float:
    """The share of the lower digit's height that lies beside the other; negative: how far off."""
    both = (heights[i] + heights[j]) / 2 - abs(down[i] - down[j])
    return float(both / min(heights[i], heights[j]))


def _slope(centres: Float[np.ndarray, "n 2"], heights: Float[np.ndarray, " n"]) -> float:
    """The angle, in radians, along which neighbours stand level; of equals the least steep."""
    size = (heights[:, None] + heights) / 2
    distance = np.linalg.norm(centres[:, None] - centres, axis=-1) / size
    i, j = np.nonzero(np.triu(distance < NEIGHBOURS, 1))
    across, size = centres[i] - centres[j], size[i, j]
    weight = 1 / (1 + distance[i, j])

    def level(angle: float) -> float:
        off = _turned(across, angle)[1] / size / LEVEL
        return float((weight * np.exp(-(off**2))).sum())

    angles = np.radians(np.arange(0, STEEPEST + STEP, STEP))
    return max((sign * angle for angle in angles.tolist() for sign in (1, -1)), key=level)


def _turned(points: Float[np.ndarray, "n 2"], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """How far points lie along a slope, and how far below it."""
    x, y = points.T
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _spaced(boxes_xyxy: Num[np.ndarray, "n 4"], digits: Int[np.ndarray, " n"]) -> str:
    gaps = boxes_xyxy[1:, 0] - boxes_xyxy[:-1, 2]
    wide = gaps > SPACE * np.median(_heights(boxes_xyxy))
    spaces = ["", *(" " if gap else "" for gap in wide)]
    return "".join(f"{space}{digit}" for space, digit in zip(spaces, digits, strict=True))


def _centres(boxes_xyxy: Num[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2"]:
    return np.asarray((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, np.float64)


def _heights(boxes_xyxy: Num[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    return np.maximum(boxes_xyxy[:, 3] - boxes_xyxy[:, 1], 1).astype(np.float64)
