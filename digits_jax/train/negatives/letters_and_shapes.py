"""Drawings that are no digit: letters, signs, lines, curves and figures, for training against."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.models.cnn import INPUT_SIDE

DRAWINGS = 8192
SEED = 2017
# Letters and signs that nobody writes like a digit: no I, O, S, Z, b, g, l, q, s, z and the like.
LETTERS = "ACEFHJKMNPRTUVWXYacdefhkmnprtuvwxyÄÉÑÜäéñü&#@%*+=<>^~{}[]$€§¶ΔΣΨΩαλπφωЖИФШЮЯжфшюя"
# Blocks of pictures and figures in DejaVu Sans, first and last: stars, chess, tools, arrows, hands.
# Left out are upright bars and arrows, rings, planets and the zodiac, notes, digits in circles.
SYMBOLS = ("■▩", "■▬", "▰◆", "◖◛", "◢◥", "◧◪", "☀☇", "☎☒", "☔☘", "☚☠", "☢☣",
           "☪☬", "☮☼", "♔♨", "♪♬", "♯♲", "♺♽", "♿⚅", "⚐⚡", "✁❌", "❏❗", "❡❧",
           "➔➾", "←←", "→→", "↔↔", "↖↣", "⇐⇐", "⇒⇒", "⇖⇙", "⌘⌘", "⌦⌫")  # fmt: skip
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
         "DejaVuSerif-Bold", "DejaVuSerif-Italic")  # fmt: skip
FINE = 4  # drawn at four times the size and averaged down

Pencil = Callable[[ImageDraw.ImageDraw, np.random.Generator], None]


@lru_cache(maxsize=1)
def draw_shapes() -> UInt8[np.ndarray, "n 28 28"]:
    """The same 8,192 drawings on every call, ink bright on black, roughly centred."""
    rng = np.random.default_rng(SEED)
    fonts = _fonts()
    symbols = _symbols()
    pencils: list[Pencil] = [
        _lines,
        _zigzag,
        _curve,
        _arc,
        _polygon,
        _blot,
        _solids,
        _solids,  # more often than others, as they are taken for a 0
        _limbs,
        _grid,
        _chequers,
        _dots,
    ]
    drawings = []
    for number in range(DRAWINGS):
        canvas = Image.new("L", (INPUT_SIDE * FINE, INPUT_SIDE * FINE))
        draw = ImageDraw.Draw(canvas)
        if number % 2:
            letters = number % 4 == 1
            signs = LETTERS if letters else symbols
            font = fonts[rng.integers(len(fonts)) if letters else 0].font_variant(
                size=int(rng.uniform(14, 30) * FINE)
            )
            letter = signs[rng.integers(len(signs))]
            draw.text((INPUT_SIDE * FINE / 2,) * 2, letter, fill=255, font=font, anchor="mm")
        else:
            pencils[rng.integers(len(pencils))](draw, rng)
        drawings.append(np.asarray(canvas.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BOX)))
    return np.stack(drawings)


def _fonts() -> list[ImageFont.FreeTypeFont]:
    return [ImageFont.truetype(_file(name), INPUT_SIDE * FINE) for name in FONTS]


def _symbols() -> list[str]:
    from matplotlib.ft2font import FT2Font

    drawn = FT2Font(_file(FONTS[0])).get_charmap()
    blocks = (range(ord(ends[0]), ord(ends[1]) + 1) for ends in SYMBOLS)
    return [chr(code) for block in blocks for code in block if code in drawn]


def _file(font: str) -> Path:
    from matplotlib import get_data_path  # only training pays for the import

    return Path(get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


def _points(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in rng.uniform(1, INPUT_SIDE - 1, (count, 2)) * FINE]


def _width(rng: np.random.Generator) -> int:
    return int(rng.uniform(1, 5) * FINE)


def _lines(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Lines from side to side, none of them upright: ruled paper, crossings, edges."""
    for _ in range(rng.integers(1, 5)):
        angle, along = rng.uniform(-0.8, 0.8), rng.uniform(-10, 10)
        x = INPUT_SIDE / 2 + along * np.sin(angle) + 40 * np.cos(angle) * np.array([-1, 1])
        y = INPUT_SIDE / 2 - along * np.cos(angle) + 40 * np.sin(angle) * np.array([-1, 1])
        ends = [(float(u) * FINE, float(v) * FINE) for u, v in zip(x, y, strict=True)]
        draw.line(ends, fill=255, width=_width(rng))


def _zigzag(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    corners = _points(rng, int(rng.integers(4, 9)))
    draw.line(corners, fill=255, width=_width(rng), joint="curve")


def _curve(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """One to three cubic Bézier curves, which go on beyond the drawing's edge."""
    t = np.linspace(0, 1, 40)[:, None]
    for _ in range(rng.integers(1, 4)):
        a, b, c, d = rng.uniform(-10, INPUT_SIDE + 10, (4, 2)) * FINE
        path = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
        draw.line([tuple(p) for p in path.tolist()], fill=255, width=_width(rng), joint="curve")


def _arc(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Half a ring or less, of any size: a whole one would be a 0."""
    for _ in range(rng.integers(1, 3)):
        x, y = rng.uniform(0, INPUT_SIDE, 2) * FINE
        radius, start = rng.uniform(4, 25) * FINE, rng.uniform(0, 360)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.arc(box, start, start + rng.uniform(60, 180), fill=255, width=_width(rng))


def _polygon(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Triangles to hexagons, filled or in outline, and stars."""
    corners = int(rng.integers(3, 7))
    angles: np.ndarray = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = np.full((corners, 1), rng.uniform(5, 20))
    if rng.random() < 0.3:  # a star
        corners = 2 * int(rng.integers(3, 8))
        angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * (2 * np.pi / corners)
        radii = np.where(np.arange(corners) % 2, rng.uniform(0.3, 0.6), 1)[:, None] * radii[0]
    ring = (INPUT_SIDE / 2 + radii * np.stack([np.cos(angles), np.sin(angles)], -1)) * FINE
    path = [tuple(p) for p in ring.tolist()]
    if rng.random() < 0.5 or corners > 4:
        draw.polygon(path, fill=255)
    else:
        draw.line([*path, path[0]], fill=255, width=_width(rng), joint="curve")


def _blot(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """A filled outline of smooth bulges and bays, of which the drawing may show a part."""
    angle = np.linspace(0, 2 * np.pi, 60)
    radius = np.full_like(angle, 1.0)
    for wave in range(2, 7):
        radius += rng.normal() * 0.6 / wave * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    radius = rng.uniform(5, 25) * FINE * np.maximum(radius, 0.1)
    x, y = (INPUT_SIDE / 2 + rng.uniform(-0.5, 0.5, 2) * INPUT_SIDE) * FINE
    path = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)
    draw.polygon([tuple(p) for p in path.tolist()], fill=255)


def _solids(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """One to three filled ovals and rounded blocks, none of them as slim as a 1."""
    angle = np.linspace(0, 2 * np.pi, 60)
    for at in INPUT_SIDE / 2 + 6 * rng.normal(size=(rng.integers(1, 4), 2)):
        half = rng.uniform(3, 12) * np.array([1, rng.uniform(0.5, 1)])
        squareness = rng.uniform(0.25, 1)  # 1 is an ellipse, 0 a block (Lamé)
        ring = np.stack([np.cos(angle), np.sin(angle)], -1)
        ring = half * np.sign(ring) * np.abs(ring) ** squareness
        turn = rng.uniform(0, 2 * np.pi)
        turned = ring @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        draw.polygon([tuple(p) for p in (FINE * (at + turned)).tolist()], fill=255)


def _limbs(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """A trunk from beyond the drawing, and limbs that taper, bend and fork: branches, legs."""
    angle = rng.uniform(0, 2 * np.pi)
    start = INPUT_SIDE / 2 + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0, 25)
    limbs = [(start, angle + np.pi + rng.normal() * 0.4, rng.uniform(2, 9))]
    for _ in range(int(rng.integers(2, 9))):
        at, towards, width = limbs.pop(0)
        for _ in range(int(rng.integers(3, 9))):
            end = at + rng.uniform(2, 5) * np.array([np.cos(towards), np.sin(towards)])
            corners = [tuple(p) for p in (FINE * np.stack([at, end])).tolist()]
            draw.line(corners, fill=255, width=max(int(width * FINE), 1))
            r = width / 2
            box = [*(end - r).tolist(), *(end + r).tolist()]
            draw.ellipse([FINE * side for side in box], fill=255)
            at, towards, width = end, towards + rng.normal() * 0.25, width * rng.uniform(0.85, 1)
        limbs += [(at, towards + turn * rng.uniform(0.2, 1.2), width) for turn in (-1, 1)]


def _chequers(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    side = rng.uniform(4, 20) * FINE
    left, top = rng.uniform(-2 * side, 0, 2)
    for row in range(int(INPUT_SIDE * FINE / side) + 3):
        for column in range(row % 2, int(INPUT_SIDE * FINE / side) + 3, 2):
            x, y = left + column * side, top + row * side
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill=255)


def _grid(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Squared paper and hatching."""
    gap, width = int(rng.uniform(3, 12) * FINE), int(rng.uniform(1, 3) * FINE)
    for at in range(int(rng.integers(gap)), INPUT_SIDE * FINE, gap):
        draw.line([(at, 0), (at, INPUT_SIDE * FINE)], fill=255, width=width)
        if gap % 2:
            draw.line([(0, at), (INPUT_SIDE * FINE, at)], fill=255, width=width)


def _dots(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Specks and filled blots."""
    for x, y in _points(rng, int(rng.integers(1, 12))):
        rx, ry = rng.uniform(0.5, 4, 2) * FINE
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
