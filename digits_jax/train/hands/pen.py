"""Digits drawn with a pen: a skeleton, deformed, in strokes of any width."""

from functools import cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from digits_jax.images.mask_box import count_parts
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, frame_digit
from digits_jax.train.hands.skeletons import SKELETONS, Skeleton, Stroke

HEIGHT = 4 * MNIST_DIGIT_SIDE  # px of a digit as it is drawn; it is framed at a quarter of that
PEN = (0.02, 0.22)  # width of the pen as a share of the digit's height, from hairline to marker
THIN_PEN = 0.02  # with which a skeleton shows all of its holes
SMALLEST_HOLE = 24  # px of the drawing, 1.5 px of the framed digit: smaller holes do not count
SLANT = (-0.15, 0.4)  # px sideways per px of height
MAX_BEND = 0.06  # greatest standard deviation of the displacement, as a share of the height
KNOTS = 4  # of the displacement field along each axis
SAMPLES = 8  # straight pieces of a curve between two of its points
ATTEMPTS = 8  # at a digit whose holes are as they should be


def draw_digit(label: int, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws one digit in a random hand, and frames it as MNIST's are.

    A digit is drawn anew if bending changed its number of holes. A pen that fills a hole, or closes
    a gap, is made thinner.

    Args:
      label: the class of the digit, 0–9.
      rng: the source of all randomness.
    """
    makers, (narrow, wide) = SKELETONS[label]
    make = makers[rng.integers(len(makers))]
    pen = float(np.exp(rng.uniform(*np.log(PEN))))
    for attempt in range(ATTEMPTS):
        skeleton = make(rng)
        aspect = float(np.exp(rng.uniform(np.log(narrow), np.log(wide))))
        shape = np.array([aspect, 1.0])
        holes = _count_holes(_draw_strokes(_to_paths(skeleton, shape), THIN_PEN))
        bend = rng.uniform(0, MAX_BEND) if attempt < ATTEMPTS - 1 else 0.0
        bent = _bend(skeleton, bend, rng)
        paths = _to_paths(bent, shape, rng.uniform(*SLANT))
        if _count_holes(_draw_strokes(paths, THIN_PEN)) == holes:
            break
    drawing = _draw_strokes(paths, pen)
    while pen > THIN_PEN and _count_holes(drawing) != holes:
        pen *= 0.8
        drawing = _draw_strokes(paths, pen)
    return frame_digit(drawing)


def _bend(skeleton: Skeleton, sigma: float, rng: np.random.Generator) -> Skeleton:
    """Moves the points by a smooth random displacement."""
    knots = sigma * rng.normal(size=(KNOTS, KNOTS, 2))

    def move(stroke: Stroke) -> Stroke:
        points = np.array(stroke)
        at = np.clip(points, 0, 1)[:, :, None] * (KNOTS - 1) - np.arange(KNOTS)
        weights = np.maximum(0, 1 - np.abs(at))
        moved = points + np.einsum("pk,pl,kla->pa", weights[:, 0], weights[:, 1], knots)
        return [(float(x), float(y)) for x, y in moved]

    return [move(stroke) for stroke in skeleton]


def _to_paths(
    skeleton: Skeleton, shape: Float[np.ndarray, "2"], slant: float = 0.0
) -> list[Float[np.ndarray, "_ 2"]]:
    """Returns each stroke as a polygonal line in px, of the given width and height."""
    paths = []
    for stroke in skeleton:
        points = np.array(stroke) * shape * HEIGHT
        points[:, 0] -= slant * points[:, 1]
        corners = [i for i in range(1, len(stroke)) if stroke[i] == stroke[i - 1]]
        runs = [points[i:j] for i, j in pairwise([0, *corners, len(stroke)])]
        paths.append(np.concatenate([_spline_matrix(len(run)) @ run for run in runs]))
    return paths


@cache
def _spline_matrix(count: int) -> Float[np.ndarray, "_ _"]:
    """Returns the weights of `count` points in the samples of a Catmull-Rom spline through them."""
    if count < 3:
        return np.eye(count)
    identity = np.eye(count)
    before, after = 2 * identity[0] - identity[1], 2 * identity[-1] - identity[-2]
    rows = np.concatenate([[before], identity, [after]])
    t = np.linspace(0, 1, SAMPLES, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(rows, rows[1:], rows[2:], rows[3:], strict=False)
    ]
    return np.concatenate([*pieces, identity[-1:]])


def _draw_strokes(paths: list[Float[np.ndarray, "_ 2"]], pen: float) -> UInt8[np.ndarray, "_ _"]:
    """Draws lines with round ends, which is quicker than with a filter."""
    width = max(1, round(pen * HEIGHT))
    everything = np.concatenate(paths)
    corner = everything.min(axis=0) - width - 2
    size = np.ceil(everything.max(axis=0) - corner + width + 2).astype(int)
    canvas = Image.new("L", (int(size[0]), int(size[1])))
    draw = ImageDraw.Draw(canvas)
    for path in paths:
        points = [(x, y) for x, y in (path - corner).tolist()]
        draw.line(points, fill=255, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            radius = (width - 1) / 2
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas)


def _count_holes(drawing: UInt8[np.ndarray, "_ _"]) -> int:
    """Returns the number of holes of some size; the paper around the digit is not one."""
    return count_parts(drawing < 128, SMALLEST_HOLE) - 1
