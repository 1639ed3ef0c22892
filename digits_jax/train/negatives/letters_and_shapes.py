"""Negative pictures drawn with pen strokes: letters, signs, lines, curves and figures."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.models.cnn import INPUT_SIDE

SHAPE_COUNT = 8192
SEED = 2017
# Letters and signs that look unlike every digit: without I, O, S, Z, b, g, l, q, s, z and similar.
LETTERS = "ACEFHJKMNPRTUVWXYacdefhkmnprtuvwxyÄÉÑÜäéñü&#@%*+=<>^~{}[]$€§¶ΔΣΨΩαλπφωЖИФШЮЯжфшюя"
# Ranges of symbols in DejaVu Sans, first and last: stars, chess, tools, arrows, hands. They leave
# out upright bars and arrows, rings, planets and the zodiac, notes, and digits in circles.
SYMBOL_RANGES = ("■▩", "■▬", "▰◆", "◖◛", "◢◥", "◧◪", "☀☇", "☎☒", "☔☘", "☚☠", "☢☣",
           "☪☬", "☮☼", "♔♨", "♪♬", "♯♲", "♺♽", "♿⚅", "⚐⚡", "✁❌", "❏❗", "❡❧",
           "➔➾", "←←", "→→", "↔↔", "↖↣", "⇐⇐", "⇒⇒", "⇖⇙", "⌘⌘", "⌦⌫")  # fmt: skip
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
         "DejaVuSerif-Bold", "DejaVuSerif-Italic")  # fmt: skip
SUPERSAMPLING = 4  # drawings are made at four times the size and averaged down

DrawFunction = Callable[[ImageDraw.ImageDraw, np.random.Generator], None]


@lru_cache(maxsize=1)
def draw_shapes() -> UInt8[np.ndarray, "n 28 28"]:
    """Draws 8,192 pictures, ink bright on black, roughly centred; the same on every call.

    A quarter are letters, a quarter are symbols, and half are lines, curves and figures.
    """
    rng = np.random.default_rng(SEED)
    fonts = _load_fonts()
    symbols = _list_symbols()
    draw_functions: list[DrawFunction] = [
        _draw_lines,
        _draw_zigzag,
        _draw_curves,
        _draw_arcs,
        _draw_polygon,
        _draw_blob,
        _draw_ovals_and_blocks,
        _draw_ovals_and_blocks,  # twice, because networks take them for a 0
        _draw_branches,
        _draw_grid,
        _draw_chequers,
        _draw_dots,
    ]
    pictures = []
    for number in range(SHAPE_COUNT):
        canvas = Image.new("L", (INPUT_SIDE * SUPERSAMPLING, INPUT_SIDE * SUPERSAMPLING))
        draw = ImageDraw.Draw(canvas)
        if number % 2:
            is_letter = number % 4 == 1
            characters = LETTERS if is_letter else symbols
            font = fonts[rng.integers(len(fonts)) if is_letter else 0].font_variant(
                size=int(rng.uniform(14, 30) * SUPERSAMPLING)
            )
            character = characters[rng.integers(len(characters))]
            centre = (INPUT_SIDE * SUPERSAMPLING / 2,) * 2
            draw.text(centre, character, fill=255, font=font, anchor="mm")
        else:
            draw_functions[rng.integers(len(draw_functions))](draw, rng)
        pictures.append(np.asarray(canvas.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BOX)))
    return np.stack(pictures)


def _load_fonts() -> list[ImageFont.FreeTypeFont]:
    return [ImageFont.truetype(_font_path(name), INPUT_SIDE * SUPERSAMPLING) for name in FONTS]


def _list_symbols() -> list[str]:
    """Returns the symbols of `SYMBOL_RANGES` that the font contains."""
    from matplotlib.ft2font import FT2Font  # imported here: slow, and only drawing needs it

    characters = FT2Font(_font_path(FONTS[0])).get_charmap()
    ranges = (range(ord(ends[0]), ord(ends[1]) + 1) for ends in SYMBOL_RANGES)
    return [chr(code) for codes in ranges for code in codes if code in characters]


def _font_path(font: str) -> Path:
    from matplotlib import get_data_path  # imported here: slow, and only drawing needs it

    return Path(get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


def _random_points(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for x, y in rng.uniform(1, INPUT_SIDE - 1, (count, 2)) * SUPERSAMPLING
    ]


def _random_width(rng: np.random.Generator) -> int:
    return int(rng.uniform(1, 5) * SUPERSAMPLING)


def _draw_lines(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws lines from side to side, none of them upright: ruled paper, crossings, edges."""
    for _ in range(rng.integers(1, 5)):
        angle, offset = rng.uniform(-0.8, 0.8), rng.uniform(-10, 10)
        x = INPUT_SIDE / 2 + offset * np.sin(angle) + 40 * np.cos(angle) * np.array([-1, 1])
        y = INPUT_SIDE / 2 - offset * np.cos(angle) + 40 * np.sin(angle) * np.array([-1, 1])
        ends = [
            (float(u) * SUPERSAMPLING, float(v) * SUPERSAMPLING) for u, v in zip(x, y, strict=True)
        ]
        draw.line(ends, fill=255, width=_random_width(rng))


def _draw_zigzag(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    corners = _random_points(rng, int(rng.integers(4, 9)))
    draw.line(corners, fill=255, width=_random_width(rng), joint="curve")


def _draw_curves(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws one to three cubic Bézier curves, which may leave the picture."""
    t = np.linspace(0, 1, 40)[:, None]
    for _ in range(rng.integers(1, 4)):
        a, b, c, d = rng.uniform(-10, INPUT_SIDE + 10, (4, 2)) * SUPERSAMPLING
        path = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
        draw.line(
            [tuple(p) for p in path.tolist()], fill=255, width=_random_width(rng), joint="curve"
        )


def _draw_arcs(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws one or two arcs of half a circle at most: a whole circle would be a 0."""
    for _ in range(rng.integers(1, 3)):
        x, y = rng.uniform(0, INPUT_SIDE, 2) * SUPERSAMPLING
        radius, start = rng.uniform(4, 25) * SUPERSAMPLING, rng.uniform(0, 360)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.arc(box, start, start + rng.uniform(60, 180), fill=255, width=_random_width(rng))


def _draw_polygon(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws a polygon of three to six corners, filled or in outline, or a star."""
    corners = int(rng.integers(3, 7))
    angles: np.ndarray = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = np.full((corners, 1), rng.uniform(5, 20))
    if rng.random() < 0.3:  # a star
        corners = 2 * int(rng.integers(3, 8))
        angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * (2 * np.pi / corners)
        radii = np.where(np.arange(corners) % 2, rng.uniform(0.3, 0.6), 1)[:, None] * radii[0]
    ring = (INPUT_SIDE / 2 + radii * np.stack([np.cos(angles), np.sin(angles)], -1)) * SUPERSAMPLING
    path = [tuple(p) for p in ring.tolist()]
    if rng.random() < 0.5 or corners > 4:
        draw.polygon(path, fill=255)
    else:
        draw.line([*path, path[0]], fill=255, width=_random_width(rng), joint="curve")


def _draw_blob(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws a filled outline with smooth bulges and bays, which may leave the picture."""
    angle = np.linspace(0, 2 * np.pi, 60)
    radius = np.full_like(angle, 1.0)
    for wave in range(2, 7):
        radius += rng.normal() * 0.6 / wave * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    radius = rng.uniform(5, 25) * SUPERSAMPLING * np.maximum(radius, 0.1)
    x, y = (INPUT_SIDE / 2 + rng.uniform(-0.5, 0.5, 2) * INPUT_SIDE) * SUPERSAMPLING
    path = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)
    draw.polygon([tuple(p) for p in path.tolist()], fill=255)


def _draw_ovals_and_blocks(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws one to three filled ovals and rounded blocks, none of them as slim as a 1."""
    angles = np.linspace(0, 2 * np.pi, 60)
    for centre in INPUT_SIDE / 2 + 6 * rng.normal(size=(rng.integers(1, 4), 2)):
        half_sides = rng.uniform(3, 12) * np.array([1, rng.uniform(0.5, 1)])
        exponent = rng.uniform(0.25, 1)  # 1 is an ellipse, 0 a block (Lamé)
        ring = np.stack([np.cos(angles), np.sin(angles)], -1)
        ring = half_sides * np.sign(ring) * np.abs(ring) ** exponent
        angle = rng.uniform(0, 2 * np.pi)
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        rotated = ring @ rotation
        draw.polygon([tuple(p) for p in (SUPERSAMPLING * (centre + rotated)).tolist()], fill=255)


def _draw_branches(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws a trunk from outside and branches that taper, bend and fork."""
    angle = rng.uniform(0, 2 * np.pi)
    start = INPUT_SIDE / 2 + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0, 25)
    branches = [(start, angle + np.pi + rng.normal() * 0.4, rng.uniform(2, 9))]
    for _ in range(int(rng.integers(2, 9))):
        point, angle, width = branches.pop(0)
        for _ in range(int(rng.integers(3, 9))):
            end = point + rng.uniform(2, 5) * np.array([np.cos(angle), np.sin(angle)])
            corners = [tuple(p) for p in (SUPERSAMPLING * np.stack([point, end])).tolist()]
            draw.line(corners, fill=255, width=max(int(width * SUPERSAMPLING), 1))
            box = [*(end - width / 2).tolist(), *(end + width / 2).tolist()]
            draw.ellipse([SUPERSAMPLING * edge for edge in box], fill=255)
            point, angle, width = end, angle + rng.normal() * 0.25, width * rng.uniform(0.85, 1)
        branches += [(point, angle + side * rng.uniform(0.2, 1.2), width) for side in (-1, 1)]


def _draw_chequers(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    side = rng.uniform(4, 20) * SUPERSAMPLING
    left, top = rng.uniform(-2 * side, 0, 2)
    for row in range(int(INPUT_SIDE * SUPERSAMPLING / side) + 3):
        for column in range(row % 2, int(INPUT_SIDE * SUPERSAMPLING / side) + 3, 2):
            x, y = left + column * side, top + row * side
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill=255)


def _draw_grid(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws squared paper or hatching."""
    gap, width = int(rng.uniform(3, 12) * SUPERSAMPLING), int(rng.uniform(1, 3) * SUPERSAMPLING)
    for position in range(int(rng.integers(gap)), INPUT_SIDE * SUPERSAMPLING, gap):
        draw.line([(position, 0), (position, INPUT_SIDE * SUPERSAMPLING)], fill=255, width=width)
        if gap % 2:
            draw.line(
                [(0, position), (INPUT_SIDE * SUPERSAMPLING, position)], fill=255, width=width
            )


def _draw_dots(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws specks and filled dots."""
    for x, y in _random_points(rng, int(rng.integers(1, 12))):
        rx, ry = rng.uniform(0.5, 4, 2) * SUPERSAMPLING
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
