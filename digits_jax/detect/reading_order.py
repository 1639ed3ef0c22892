"""Reading order: groups digits into lines and reads these from top to bottom, left to right.

All lines of a page have one slope: the angle along which most neighbouring digits are level. The
page is rotated by it. Then the digits are visited from left to right, and each one continues the
line whose last digit it overlaps most in height. So lines may tilt, and bend a little.
"""

import numpy as np
from jaxtyping import Float, Int, Num

MAX_SLOPE_DEG, SLOPE_STEP_DEG = 20.0, 1.0  # degrees: slopes from −20 to 20 are tried
NEIGHBOUR_DISTANCE = 5.0  # heights: closer digits count in the estimate of the slope
LEVEL_TOLERANCE = 0.3  # heights: a pair this far off a level counts exp(−1) times a level one
MIN_OVERLAP = 0.3  # share of the shorter digit's height that overlaps the line's last digit
SPACE_WIDTH = 1.0  # heights: a wider gap, about one and a half digits, separates two numbers


def read_lines(boxes_xyxy: Num[np.ndarray, "n 4"], labels: Int[np.ndarray, " n"]) -> list[str]:
    """Reads digits as lines of numbers.

    Args:
      boxes_xyxy: `[n, 4]` px, tight around the digits, in any order.
      labels: `[n]` int, 0–9.

    Returns:
      The lines, from the top, such as "4071 23". A gap wider than the line's median digit height
      becomes a space. The order of the digits given does not matter.
    """
    order = np.lexsort((labels, *boxes_xyxy.T))
    boxes, digits = boxes_xyxy[order], labels[order]
    return [_join_digits(boxes[line], digits[line]) for line in find_lines(boxes)]


def find_lines(boxes_xyxy: Num[np.ndarray, "n 4"]) -> list[list[int]]:
    """Groups boxes into lines, which may slope by up to 20° and bend a little.

    Args:
      boxes_xyxy: `[n, 4]` px, tight around the digits.

    Returns:
      The indices of each line's boxes, left to right; the lines from top to bottom.
    """
    if not len(boxes_xyxy):
        return []
    centres, heights = box_centres(boxes_xyxy), box_heights(boxes_xyxy)
    x, y = rotate(centres, estimate_slope(centres, heights))
    lines: list[list[int]] = []
    for k in np.lexsort((*boxes_xyxy.T, y, x)).tolist():
        overlaps = [_overlap_in_height(y, heights, line[-1], k) for line in lines]
        best = int(np.argmax(overlaps)) if overlaps else 0
        if overlaps and overlaps[best] >= MIN_OVERLAP:
            lines[best].append(k)
        else:
            lines.append([k])
    return sorted(lines, key=lambda line: float(y[line].mean()))


def estimate_slope(centres: Float[np.ndarray, "n 2"], heights: Float[np.ndarray, " n"]) -> float:
    """Returns the slope of a page's lines: the angle along which most neighbours are level.

    It is the whole degree a that maximises the sum of exp(−(y / 0.3)²) / (1 + d) over all pairs of
    digits nearer than 5 heights. d is the distance of a pair and y its distance across lines of
    slope a, both divided by the pair's mean height. Of angles with equal sums the flattest wins.

    Args:
      centres: `[n, 2]` x and y of the digits' centres, px.
      heights: `[n]` px.

    Returns:
      The angle in radians, positive where lines descend to the right.
    """
    size = (heights[:, None] + heights) / 2
    distance = np.linalg.norm(centres[:, None] - centres, axis=-1) / size
    i, j = np.nonzero(np.triu(distance < NEIGHBOUR_DISTANCE, 1))
    offsets, size = centres[i] - centres[j], size[i, j]
    weight = 1 / (1 + distance[i, j])

    def score(angle: float) -> float:
        off_level = rotate(offsets, angle)[1] / size / LEVEL_TOLERANCE
        return float((weight * np.exp(-(off_level**2))).sum())

    angles = np.radians(np.arange(0, MAX_SLOPE_DEG + SLOPE_STEP_DEG, SLOPE_STEP_DEG))
    return max((sign * angle for angle in angles.tolist() for sign in (1, -1)), key=score)


def _overlap_in_height(y: np.ndarray, heights: np.ndarray, i: int, j: int) -> float:
    """Returns two digits' overlap as a share of the shorter one's height; a gap is negative."""
    overlap = (heights[i] + heights[j]) / 2 - abs(y[i] - y[j])
    return float(overlap / min(heights[i], heights[j]))


def rotate(points: Float[np.ndarray, "n 2"], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far points lie along lines of a slope, and how far below such a line."""
    x, y = points.T
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _join_digits(boxes_xyxy: Num[np.ndarray, "n 4"], digits: Int[np.ndarray, " n"]) -> str:
    """Returns the digits of a line as text, with a space for each wide gap."""
    gaps = boxes_xyxy[1:, 0] - boxes_xyxy[:-1, 2]
    wide = gaps > space_width(boxes_xyxy)
    spaces = ["", *(" " if gap else "" for gap in wide)]
    return "".join(f"{space}{digit}" for space, digit in zip(spaces, digits, strict=True))


def space_width(boxes_xyxy: Num[np.ndarray, "n 4"]) -> float:
    """Returns the width in px of the gaps beyond which digits of a line are different numbers."""
    return SPACE_WIDTH * float(np.median(box_heights(boxes_xyxy)))


def box_centres(boxes_xyxy: Num[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2"]:
    """Returns x and y of the middles of boxes, px."""
    return np.asarray((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, np.float64)


def box_heights(boxes_xyxy: Num[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Returns the heights of boxes in px, at least 1."""
    return np.maximum(boxes_xyxy[:, 3] - boxes_xyxy[:, 1], 1).astype(np.float64)
