"""Signs as people write them between digits: minus, points, commas, plus, equals, brackets."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from digits_jax.images.mnist_format import frame_digit

SIDE = 80  # px of the canvas
MIDDLE = SIDE / 2

Points = list[tuple[float, float]]


def draw_sign(rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws one sign with a pen, and frames it. Upright bars are left out, since they are 1s."""
    width = int(np.exp(rng.uniform(np.log(2), np.log(14))))
    kind = int(rng.integers(8))
    reach = rng.uniform(18, 34)
    if kind <= 2:  # minus; thick, it is a dash of a marker
        lines = [[(-reach, 0.0), (0.0, rng.normal() * 2), (reach, 0.0)]]
    elif kind == 3:  # plus or a cross
        up = reach * rng.uniform(0.7, 1.2)
        lines = [[(-reach, 0.0), (reach, 0.0)], [(0.0, -up), (0.0, up)]]
    elif kind == 4:  # equals, or three bars
        gap = rng.uniform(width + 3, 26)
        lines = [[(-reach, k * gap), (reach, k * gap)] for k in (-0.5, 0.5)]
    elif kind == 5:  # a square bracket or a corner
        depth, up = rng.uniform(8, 22), reach
        side = rng.choice([-1.0, 1.0])
        lines = [[(side * depth, -up), (0.0, -up), (0.0, up), (side * depth, up)]]
    elif kind == 6:  # a round bracket, bent so much that it is no 1
        angles = np.linspace(-1, 1, 20) * rng.uniform(0.9, 1.4)
        side = rng.choice([-1.0, 1.0])
        arc = np.stack([side * 30 * np.cos(angles), 30 * np.sin(angles)], -1)
        lines = [[(float(x), float(y)) for x, y in arc - arc.mean(axis=0)]]
    else:
        return _draw_point(rng)
    degrees = rng.normal() * 8
    return _draw_lines(lines, degrees, width)


def _draw_lines(lines: list[Points], degrees: float, width: int) -> UInt8[np.ndarray, "28 28"]:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    canvas = Image.new("L", (SIDE + 60, SIDE + 60))
    draw = ImageDraw.Draw(canvas)
    for line in lines:
        points = [(float(x), float(y)) for x, y in np.array(line) @ turn + MIDDLE + 30]
        draw.line(points, fill=255, width=width, joint="curve")
    return frame_digit(np.asarray(canvas))


def _draw_point(rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Draws a point, or a comma: a point with a short tail to the left below."""
    canvas = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    across, down = rng.uniform(8, 14, 2)
    draw.ellipse((40 - across, 30 - down, 40 + across, 30 + down), fill=255)
    if rng.random() < 0.5:
        draw.polygon(
            [(40 + across, 30), (40 - rng.uniform(0, 8), 30 + rng.uniform(16, 28)), (34, 34)],
            fill=255,
        )
    return frame_digit(np.asarray(canvas))
