"""The fonts that experiments draw digits with: where each comes from, and its split.

`fonts.tsv`, beside this module, names each family, its kind (`hand` or `print`), its split, its
licence as its package states it, the package and version, the file in the package and the file's
SHA-256. Families of one designer or series are in one split. The families `dkg` and `Breip` and
those that other experiments have measured with are test families. So are families whose licence
does not clearly let drawn glyphs be distributed: GPL or LGPL without a font exception, or Artistic.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.files import cache_folder

QUICK_HANDS = ("dkg", "Breip")  # test families that imitate one person's quick hand
# Families without small letters: their d is a D, or another drawing of one, which looks like a 0.
CAPITALS_ALONE = (
    *("Amatic SC", "Bangers", "Humor Sans", "Luckiest Guy", "Permanent Marker", "Tomson Talks"),
    *("Because We Build", "Because We Connect", "Because We Create"),
    *("Because We Learn", "Because We Mentor", "Because We Organize"),
)
FONT_SIZE = 300  # px: a digit is then about 200 px high


class FontFamily(NamedTuple):
    """A family, and the file that holds its regular style."""

    name: str
    kind: str  # "hand" or "print"
    split: str  # "train", "validation" or "test"
    licence: str  # as its package states it
    package: str  # registry and name: "npm:…", "deb:…" or "pypi:…"
    version: str
    file: str  # in the package
    sha256: str


def read_families() -> list[FontFamily]:
    """Reads all families of `fonts.tsv`."""
    lines = Path(__file__).with_name("fonts.tsv").read_text(encoding="utf-8").splitlines()
    return [FontFamily(*line.split("\t")) for line in lines[1:]]


def fonts_folder() -> Path:
    """Returns the folder into which fonts are unpacked, in the package's cache."""
    return cache_folder() / "fonts"


def fetch_fonts(families: list[FontFamily], folder: Path) -> None:
    """Unpacks the packages of the families that are missing; installs nothing.

    It runs npm, apt-get (Debian 12) and pip.

    Args:
      families: the families whose files are needed.
      folder: the folder that receives `npm/`, `deb/` and `pypi/`.
    """
    missing = [family for family in families if not font_path(family, folder).is_file()]
    packages: dict[str, list[tuple[str, str]]] = {"npm": [], "deb": [], "pypi": []}
    for package, version in sorted({(family.package, family.version) for family in missing}):
        registry, _, name = package.partition(":")
        packages[registry].append((name, version))
    for registry in packages:
        (folder / registry).mkdir(parents=True, exist_ok=True)
    if npm := [f"{name}@{version}" for name, version in packages["npm"]]:
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-bin-links"]
        subprocess.run(
            ["npm", "install", "--prefix", ".", *options, *npm], cwd=folder / "npm", check=True
        )
    if deb := [f"{name}={version}" for name, version in packages["deb"]]:
        subprocess.run(["apt-get", "download", *deb], cwd=folder / "deb", check=True)
        for archive in (folder / "deb").glob("*.deb"):
            name = archive.name.partition("_")[0]
            subprocess.run(["dpkg", "-x", archive, folder / "deb" / name], check=True)
            archive.unlink()
    if pypi := [f"{name}=={version}" for name, version in packages["pypi"]]:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--target",
            str(folder / "pypi"),
        ]
        subprocess.run([*pip, *pypi], check=True)


def font_path(family: FontFamily, folder: Path) -> Path:
    """Returns the path of a family's file in the folder that `fetch_fonts` fills."""
    registry, _, name = family.package.partition(":")
    package = {"npm": f"npm/node_modules/{name}", "deb": f"deb/{name}", "pypi": "pypi"}[registry]
    return folder / package / family.file


def load_font(family: FontFamily, folder: Path) -> ImageFont.FreeTypeFont:
    """Loads a family's font, of `FONT_SIZE`.

    Raises:
      DigitsJaxError: the file is not the one that `fonts.tsv` describes.
    """
    path = font_path(family, folder)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != family.sha256:
        raise DigitsJaxError(
            f"{path}: expected SHA-256 {family.sha256}, found {sha256}; get version "
            f"{family.version} of {family.package}"
        )
    return ImageFont.truetype(path, FONT_SIZE)


def draw_glyph(font: ImageFont.FreeTypeFont, character: str) -> UInt8[np.ndarray, "h w"] | None:
    """Draws a character, bright on black; returns None where the font has none.

    A margin of a quarter of `FONT_SIZE` surrounds it.
    """
    canvas = _draw(font, character)
    box = canvas.getbbox()
    # U+FFFF is no character: it shows the box that stands for missing ones.
    if box is None or canvas.tobytes() == _draw(font, "\uffff").tobytes():
        return None
    return np.pad(np.asarray(canvas.crop(box)), FONT_SIZE // 4)


def _draw(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    canvas = Image.new("L", (4 * FONT_SIZE, 4 * FONT_SIZE))
    position = (2 * FONT_SIZE, 2 * FONT_SIZE)
    ImageDraw.Draw(canvas).text(position, character, fill=255, font=font, anchor="mm")
    return canvas
