"""Digits and letters of fonts: hands and print that MNIST does not hold.

`font_glyphs.json` names each family with its split, licence, package, version and the SHA-256 of
its font file. `python -m experiments.studies.render_fonts` drew the glyphs.
"""

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset

GLYPHS_FILE = Path(__file__).with_name("font_glyphs.npz")
MANIFEST_FILE = Path(__file__).with_name("font_glyphs.json")
# Of GLYPHS_FILE.
FONT_GLYPHS_SHA256 = "560920d183cd79e0bcf1f7be3870316fd109ce8eb13c3d8edc01bc359fb354c6"

Split = Literal["train", "validation"]  # no family is in both


def load_font_digits(split: Split, *, path: Path = GLYPHS_FILE) -> Dataset:
    """Loads the digits of the fonts of a split, framed as MNIST's digits are.

    Each digit of a font comes in up to three stroke widths.

    Args:
      split: `train` or `validation`.
      path: the file that holds the glyphs.

    Returns:
      Images `[n, 28, 28]` uint8, ink bright on black (0 to 255), and labels `[n]` uint8, 0 to 9.

    Raises:
      DataError: the file is missing or is not the one that belongs to this version.
    """
    arrays = _load(path)
    return Dataset(arrays[f"{split}_digits"], arrays[f"{split}_digit_codes"] - np.uint8(ord("0")))


def load_font_letters(split: Split, *, path: Path = GLYPHS_FILE) -> UInt8[np.ndarray, "n 28 28"]:
    """Loads letters and signs that do not look like digits, framed as MNIST's digits are.

    Args:
      split: `train` or `validation`.
      path: the file that holds the glyphs.

    Returns:
      Images `[n, 28, 28]` uint8, ink bright on black (0 to 255).

    Raises:
      DataError: the file is missing or is not the one that belongs to this version.
    """
    return _load(path)[f"{split}_letters"]


@cache
def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). It comes with the package: install that "
            "again."
        ) from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != FONT_GLYPHS_SHA256:
        raise DataError(
            f"{path} is not the expected file: expected SHA-256 {FONT_GLYPHS_SHA256}, found "
            f"{sha256}. It comes with the package: install that again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
