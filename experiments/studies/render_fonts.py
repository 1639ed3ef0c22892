"""Draws the digits and letters of fonts that ship with the package as training data.

MNIST's writers hardly wrote a 1 with a flag and a foot, a crossed 7, a closed 4 or a slashed 0;
fonts of handwriting and print hold all of these. Each digit is drawn about 200 px high in up to
three stroke widths: as it is, thinner, and thicker. A width is left out where strokes would break
or holes would close. Letters and signs are drawn as they are, except those that look like a digit
in many hands. All are framed as MNIST's digits are.

The fonts, their packages and versions are those of the splits `train` and `validation` in
experiments/common/fonts.tsv: @fontsource/… and @expo-google-fonts/… of npm, fonts-… of Debian 12,
font-… and fontpkg-… of PyPI. The licence of each lets drawn glyphs be distributed. Test families
are not shipped: `experiments.studies.other_handwriting` draws them.

Command:   python -m experiments.studies.render_fonts
Hardware:  any; fetching the fonts needs npm, Debian 12's apt-get and dpkg, and pip.
Time:      two minutes on 2 cores.
Result:    digits_jax/data/font_glyphs.npz and font_glyphs.json. Put the printed SHA-256 into
           digits_jax/data/font_glyphs.py.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from jaxtyping import Bool, UInt8
from scipy import ndimage

from digits_jax.data import font_glyphs
from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, frame_digit
from experiments.common.fonts import (
    CAPITALS_ALONE,
    FontFamily,
    draw_glyph,
    fetch_fonts,
    fonts_folder,
    load_font,
    read_families,
)

SPLITS = ("train", "validation")
DIGITS = "0123456789"
# Without those that look like a digit in many hands, such as B, S, g, &, / and (.
LETTERS = "acdefhkmnprtuvwxyACEFHKLMNPRTUVWXY+-=#?%*:"

# A change of the stroke width, and the parts of it that are tried while the strokes do not allow
# more. Widths are in MNIST's px.
THINNER, MIN_WIDTH_PX = 0.55, 1.0
THICKER, MIN_THICK_WIDTH_PX, MAX_WIDTH_PX = 1.7, 2.8, 5.5
PARTS = (1.0, 0.7, 0.4)
LEAST_CHANGE = 0.12  # of the width
MIN_AREA_PX = 0.1  # in MNIST's px: a smaller stroke or hole is a flaw of the outline


class Glyph(NamedTuple):
    """A framed glyph."""

    family: int  # index in the manifest
    character: str
    stroke: int  # 0 thinner, 1 as it is, 2 thicker
    image: UInt8[np.ndarray, "28 28"]


def main(fonts: Path | None = None) -> None:
    """Draws all families and writes the two files.

    Args:
        fonts: Folder for the fonts; those that are missing are fetched. By default in the cache.
    """
    folder = fonts or fonts_folder()
    families = [family for family in read_families() if family.split in SPLITS]
    fetch_fonts(families, folder)
    arrays: dict[str, np.ndarray] = {}
    for split in SPLITS:
        glyphs = [
            glyph
            for index, family in enumerate(families)
            if family.split == split
            for glyph in draw_family(index, family, folder)
        ]
        for name, characters in {"digit": DIGITS, "letter": LETTERS}.items():
            part = [glyph for glyph in glyphs if glyph.character in characters]
            arrays[f"{split}_{name}s"] = np.stack([glyph.image for glyph in part])
            codes = [ord(glyph.character) for glyph in part]
            arrays[f"{split}_{name}_codes"] = np.array(codes, np.uint8)
            arrays[f"{split}_{name}_families"] = np.array([g.family for g in part], np.uint8)
            arrays[f"{split}_{name}_strokes"] = np.array([g.stroke for g in part], np.uint8)
            print(f"{split}: {len(part)} {name}s")
    content = pack(arrays)
    font_glyphs.GLYPHS_FILE.write_bytes(content)
    manifest = {"families": [family._asdict() for family in families]}
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    font_glyphs.MANIFEST_FILE.write_text(text, encoding="utf-8")
    print(f"{len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def draw_family(index: int, family: FontFamily, folder: Path) -> Iterator[Glyph]:
    """Yields the glyphs of a family: digits in their stroke widths, and letters."""
    font = load_font(family, folder)
    for character in DIGITS:
        image = draw_glyph(font, character)
        if image is None:
            raise ValueError(f"{family.name} has no {character}")
        yield Glyph(index, character, 1, frame_digit(image))
        for stroke, other in ((0, thinner(image)), (2, thicker(image))):
            if other is not None:
                yield Glyph(index, character, stroke, frame_digit(other))
    for character in LETTERS:
        image, capital = draw_glyph(font, character), draw_glyph(font, character.upper())
        is_capital = family.name in CAPITALS_ALONE and character.upper() not in LETTERS
        if image is not None and capital is not None and not is_capital:
            yield Glyph(index, character, 1, frame_digit(image))


def thinner(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"] | None:
    """Returns a digit with thinner strokes, or None where they would break or vanish."""
    width = stroke_width(image)
    return change_stroke_width(image, max(THINNER * width, min(MIN_WIDTH_PX, width)) - width)


def thicker(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"] | None:
    """Returns a digit with thicker strokes, or None where they would touch or be too thick."""
    width = stroke_width(image)
    target = min(max(THICKER * width, MIN_THICK_WIDTH_PX), max(MAX_WIDTH_PX, width))
    return change_stroke_width(image, target - width)


def stroke_width(image: UInt8[np.ndarray, "h w"]) -> float:
    """Returns the mean stroke width in MNIST's px, as `normalise_stroke_width` measures it."""
    inside = image > 127
    distance = ndimage.distance_transform_edt(inside)[inside].mean()
    return float(4 * distance - 2) / pixel_size(image)


def change_stroke_width(
    image: UInt8[np.ndarray, "h w"], by: float
) -> UInt8[np.ndarray, "h w"] | None:
    """Moves the edge of the ink so that strokes are wider or narrower.

    Args:
      image: one digit, bright ink, with a margin.
      by: difference of the stroke width, in MNIST's px.

    Returns:
      The digit, changed as much as possible; None if strokes broke, joined or vanished, or holes
      did, even with a small change.
    """
    inside, px = image > 127, pixel_size(image)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    before = topology(inside, px)
    for part in PARTS:
        if abs(part * by) < LEAST_CHANGE * stroke_width(image):
            return None
        moved = distance + part * by / 2 * px
        if topology(moved > 0, px) == before:
            return np.rint(255 * np.clip(moved + 0.5, 0, 1)).astype(np.uint8)
    return None


def pixel_size(image: UInt8[np.ndarray, "h w"]) -> float:
    """Returns the size of one of MNIST's px in a digit that is to be framed."""
    x0, y0, x1, y1 = mask_to_box(image > 127)
    return max(x1 - x0, y1 - y0) / MNIST_DIGIT_SIDE


def topology(inside: Bool[np.ndarray, "h w"], px: float) -> tuple[int, int]:
    """Returns the numbers of strokes and holes that are larger than `MIN_AREA_PX`."""
    counts = []
    for mask, neighbours in ((inside, np.ones((3, 3))), (~inside, None)):
        areas = np.bincount(ndimage.label(mask, neighbours)[0].ravel())[1:]
        counts.append(int((areas > MIN_AREA_PX * px**2).sum()))
    return counts[0], counts[1]


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """Returns the arrays as an .npz file whose bytes do not depend on the time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return stream.getvalue()


if __name__ == "__main__":
    tyro.cli(main)
