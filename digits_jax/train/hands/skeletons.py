"""Skeletons of digits as people write them, several for each class.

A skeleton is a list of strokes. A stroke is a list of points (x, y), x from left to right and y
downwards, within a square of side 1 or a little beyond. A pen draws a smooth curve through them,
with a corner where a point is repeated.
"""

from collections.abc import Callable

import numpy as np

Stroke = list[tuple[float, float]]
Skeleton = list[Stroke]
MakeSkeleton = Callable[[np.random.Generator], Skeleton]


def _arc(
    centre: tuple[float, float], radii: tuple[float, float], begin_deg: float, end_deg: float
) -> Stroke:
    """Returns points of an ellipse; 0° is on the right, and angles grow clockwise."""
    angles = np.deg2rad(np.linspace(begin_deg, end_deg, 3 + int(abs(end_deg - begin_deg) / 40)))
    x, y = centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)
    return [(float(u), float(v)) for u, v in zip(x, y, strict=True)]


def _ring(rng: np.random.Generator) -> Stroke:
    begin = rng.uniform(-140, -50)
    return _arc((0.5, 0.5), (0.5, 0.5), begin, begin - 360 - rng.uniform(0, 20))


def _zero(rng: np.random.Generator) -> Skeleton:
    return [_ring(rng)]


def _slashed_zero(rng: np.random.Generator) -> Skeleton:
    overhang, x = rng.uniform(-0.12, 0.12), rng.uniform(0.2, 0.35)
    return [_ring(rng), [(0.5 + x, 0.12 - overhang), (0.5 - x, 0.88 + overhang)]]


def _dotted_zero(rng: np.random.Generator) -> Skeleton:
    return [_ring(rng), [(0.5, 0.48), (0.5, rng.uniform(0.5, 0.55))]]


def _bar(rng: np.random.Generator) -> Skeleton:
    return [[(0.5, 0.0), (0.5 + rng.uniform(-0.1, 0.1), 0.5), (0.5, 1.0)]]


def _flagged_one(rng: np.random.Generator) -> Skeleton:
    length = rng.uniform(0.2, 0.6)  # its flag falls steeply: a level one would make a 7
    flag = (0.6 - length, 0.1 + length * rng.uniform(0.35, 0.6))
    return [[flag, (0.6, 0.0), (0.6, 0.0), (0.6, 1.0)]]


def _footed_one(rng: np.random.Generator) -> Skeleton:
    foot = rng.uniform(0.2, 0.45)
    return [*_flagged_one(rng), [(0.6 - foot, 1.0), (0.6 + foot, 1.0)]]


def _two(rng: np.random.Generator) -> Skeleton:
    start, base = rng.uniform(0.15, 0.35), rng.uniform(-0.05, 0.03)
    top: Stroke = [(0.05, start), (0.2, 0.06), (0.5, 0.0), (0.85, 0.12), (0.88, 0.36)]
    return [[*top, (0.6, 0.66), (0.04, 1.0), (0.04, 1.0), (0.96, 1.0 + base)]]


def _looped_two(rng: np.random.Generator) -> Skeleton:
    start, end = rng.uniform(0.12, 0.3), rng.uniform(0.8, 0.98)
    top: Stroke = [(0.08, start), (0.4, 0.0), (0.8, 0.1), (0.82, 0.38), (0.5, 0.72)]
    return [[*top, (0.18, 0.98), (0.02, 0.88), (0.18, 0.76), (0.5, 0.88), (0.75, 0.98), (1.0, end)]]


def _wavy_two(rng: np.random.Generator) -> Skeleton:
    start, end = rng.uniform(0.12, 0.3), rng.uniform(0.86, 0.97)
    top: Stroke = [(0.06, start), (0.35, 0.0), (0.8, 0.1), (0.8, 0.4), (0.4, 0.75), (0.0, 0.97)]
    return [[*top, (0.0, 0.97), (0.3, 0.88), (0.65, 0.98), (1.0, end)]]


def _round_three(rng: np.random.Generator) -> Skeleton:
    start, waist = rng.uniform(0.1, 0.2), rng.uniform(0.25, 0.5)
    upper: Stroke = [(0.05, start), (0.4, 0.0), (0.82, 0.1), (0.8, 0.34), (waist, 0.47)]
    return [[*upper, (waist, 0.47), (0.88, 0.58), (0.95, 0.8), (0.55, 1.0), (0.0, 0.88)]]


def _flat_three(rng: np.random.Generator) -> Skeleton:
    waist = rng.uniform(0.3, 0.5)
    upper: Stroke = [(0.08, 0.0), (0.92, 0.0), (0.92, 0.0), (waist, 0.4), (waist, 0.4)]
    return [[*upper, (0.8, 0.46), (0.96, 0.68), (0.75, 0.96), (0.35, 1.0), (0.0, 0.88)]]


def _closed_four(rng: np.random.Generator) -> Skeleton:
    x, y = rng.uniform(0.6, 0.8), rng.uniform(0.6, 0.75)
    return [[(x, 1.0), (x, 0.0), (x, 0.0), (0.0, y), (0.0, y), (1.0, y)]]


def _open_four(rng: np.random.Generator) -> Skeleton:
    left, x, y = rng.uniform(0.05, 0.3), rng.uniform(0.68, 0.82), rng.uniform(0.5, 0.66)
    return [[(left, 0.0), (0.0, y), (0.0, y), (1.0, y)], [(x, rng.uniform(0.0, 0.3)), (x, 1.0)]]


def _curved_four(rng: np.random.Generator) -> Skeleton:
    x, y = rng.uniform(0.75, 0.9), rng.uniform(0.45, 0.58)
    left: Stroke = [(0.12, 0.0), (0.02, 0.35), (0.2, y), (0.55, y), (x, y - 0.05)]
    return [left, [(x, rng.uniform(-0.05, 0.1)), (x - rng.uniform(0.0, 0.15), 1.0)]]


def _five(rng: np.random.Generator) -> Skeleton:
    x, y = rng.uniform(0.05, 0.25), rng.uniform(0.38, 0.5)
    bowl: Stroke = [(x, y), (0.5, y - 0.06), (0.92, 0.58), (0.9, 0.85), (0.5, 1.0), (0.0, 0.9)]
    return [[(0.92, 0.0), (0.22, 0.0), (0.22, 0.0), (x, y), *bowl]]


def _five_with_a_bar_apart(rng: np.random.Generator) -> Skeleton:
    _, _, stem, *bowl = _five(rng)[0]
    lift, begin = rng.uniform(0.0, 0.08), rng.uniform(0.2, 0.35)
    return [[stem, *bowl], [(begin, -lift), (rng.uniform(0.85, 1.0), -lift - rng.uniform(0, 0.08))]]


def _six(rng: np.random.Generator) -> Skeleton:
    end = rng.uniform(0.6, 0.85)
    stem: Stroke = [(end, 0.0), (0.35, 0.15), (0.06, 0.55), (0.08, 0.85)]
    return [[*stem, (0.45, 1.0), (0.88, 0.88), (0.9, 0.66), (0.55, 0.5), (0.2, 0.6), (0.06, 0.8)]]


def _straight_six(rng: np.random.Generator) -> Skeleton:
    top, y = rng.uniform(0.5, 0.85), rng.uniform(0.68, 0.76)
    ring = _arc((0.5, y), (0.45, 1 - y), 190.0, 190.0 - 360.0)
    return [[(top, 0.0), (0.5 * top + 0.04, 0.3), *ring]]


def _seven(rng: np.random.Generator) -> Skeleton:
    foot = rng.uniform(0.15, 0.6)
    return [[(0.0, 0.0), (0.95, 0.0), (0.95, 0.0), (foot, 1.0)]]


def _curved_seven(rng: np.random.Generator) -> Skeleton:
    foot = rng.uniform(0.2, 0.5)
    return [[(0.0, 0.06), (0.95, 0.0), (0.95, 0.0), (foot + 0.2, 0.45), (foot, 1.0)]]


def _serif_seven(rng: np.random.Generator) -> Skeleton:
    serif: Stroke = [(rng.uniform(-0.05, 0.05), rng.uniform(0.1, 0.25)), (0.0, 0.0), (0.0, 0.0)]
    return [[*serif, *_seven(rng)[0][1:]]]


def _crossed(make: MakeSkeleton) -> MakeSkeleton:
    def crossed(rng: np.random.Generator) -> Skeleton:
        stem = make(rng)
        foot = stem[0][-1][0]
        y, reach = rng.uniform(0.4, 0.55), rng.uniform(0.2, 0.35)
        x, tilt = 0.95 + y * (foot - 0.95), rng.uniform(-0.05, 0.05)
        return [*stem, [(x - reach, y + tilt), (x + reach, y - tilt)]]

    return crossed


def _eight(rng: np.random.Generator) -> Skeleton:
    y, small = rng.uniform(0.42, 0.5), rng.uniform(0.3, 0.45)
    upper: Stroke = [(0.5, y), (0.5 - small, 0.24), (0.5, 0.0), (0.5 + small, 0.24)]
    return [[*upper, (0.5, y), (0.04, 0.75), (0.5, 1.0), (0.96, 0.75), (0.5, y)]]


def _eight_of_two_circles(rng: np.random.Generator) -> Skeleton:
    y, small = rng.uniform(0.42, 0.52), rng.uniform(0.28, 0.48)
    lower = _arc((0.5, (1 + y) / 2), (0.48, (1 - y) / 2), -90.0, 270.0)
    return [_arc((0.5, y / 2), (small, y / 2), 90.0, 450.0), lower]


def _nine(rng: np.random.Generator) -> Skeleton:
    y = rng.uniform(0.25, 0.32)
    return [_arc((0.46, y), (0.46, y), 0.0, -360.0), [(0.92, 0.04), (rng.uniform(0.8, 0.95), 1.0)]]


def _hooked_nine(rng: np.random.Generator) -> Skeleton:
    y = rng.uniform(0.25, 0.32)
    ring = _arc((0.48, y), (0.45, y), 0.0, -360.0)
    return [[*ring, (0.92, 0.6), (0.75, 0.92), (0.4, 1.0), (0.08, rng.uniform(0.85, 0.95))]]


def _leaning_nine(rng: np.random.Generator) -> Skeleton:
    y = rng.uniform(0.24, 0.32)
    ring = _arc((0.5, y), (0.45, y), 10.0, -350.0)
    return [[*ring, (0.85, 0.65), (rng.uniform(0.3, 0.75), 1.0)]]


# For each class: its skeletons, and the least and greatest width of the digit as a share of its
# height.
SKELETONS: tuple[tuple[tuple[MakeSkeleton, ...], tuple[float, float]], ...] = (
    ((_zero, _zero, _slashed_zero, _slashed_zero, _dotted_zero), (0.4, 1.0)),
    ((_bar, _flagged_one, _flagged_one, _footed_one, _footed_one), (0.25, 0.6)),
    ((_two, _looped_two, _wavy_two), (0.4, 0.95)),
    ((_round_three, _flat_three), (0.4, 0.9)),
    ((_closed_four, _open_four, _open_four, _curved_four), (0.45, 0.95)),
    ((_five, _five_with_a_bar_apart), (0.4, 0.9)),
    ((_six, _straight_six), (0.35, 0.85)),
    (
        (_seven, _curved_seven, _serif_seven, _crossed(_seven), _crossed(_serif_seven)),
        (0.4, 0.9),
    ),
    ((_eight, _eight_of_two_circles), (0.3, 0.8)),
    ((_nine, _hooked_nine, _leaning_nine), (0.35, 0.8)),
)
