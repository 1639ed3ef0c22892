"""The digits and letters of fonts: their format, their splits, and a few looked at by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from digits_jax.data.font_glyphs import (
    GLYPHS_FILE,
    MANIFEST_FILE,
    Split,
    load_font_digits,
    load_font_letters,
)
from digits_jax.data.mnist import DataError

SPLITS: tuple[Split, ...] = ("train", "validation")
MANIFEST: list[dict[str, str]] = json.loads(MANIFEST_FILE.read_text(encoding="utf-8"))["families"]


def glyph(family: str, digit: str, stroke: int = 1) -> np.ndarray:
    """Returns a digit of a family: 0 thinner, 1 as the font has it, 2 thicker."""
    index = next(i for i, entry in enumerate(MANIFEST) if entry["name"] == family)
    split = MANIFEST[index]["split"]
    with np.load(GLYPHS_FILE, allow_pickle=False) as arrays:
        found = arrays[f"{split}_digit_families"] == index
        found &= arrays[f"{split}_digit_codes"] == ord(digit)
        found &= arrays[f"{split}_digit_strokes"] == stroke
        images: np.ndarray = arrays[f"{split}_digits"][found]
    assert len(images) == 1
    return images[0]


@pytest.mark.parametrize("split", SPLITS)
def test_digits_and_letters_are_framed_as_mnist(split: Split) -> None:
    digits, letters = load_font_digits(split), load_font_letters(split)
    assert digits.images.shape == (len(digits.labels), 28, 28)
    assert digits.labels.dtype == np.uint8
    for images in (np.asarray(digits.images), letters):
        assert images.shape[1:] == (28, 28)
        assert images.dtype == np.uint8
        assert (images.max(axis=(1, 2)) == 255).all()
        for axis in (1, 2):
            profile = images.sum(axis=3 - axis, dtype=np.int64)
            centre = profile @ np.arange(28) / profile.sum(axis=1)
            # Half a pixel, unless it would be cut off, as the stem of an L.
            touches = (profile[:, [0, -1]] > 0).any(axis=1)
            assert np.abs(centre - 14)[~touches].max() < 0.55
            assert np.abs(centre - 14).max() < (2.5 if images is letters else 1.02)
            assert (np.abs(centre - 14) <= 0.51).mean() > 0.99
        sides = [
            [np.ptp(np.flatnonzero(image.any(axis=a))) + 1 for a in (0, 1)] for image in images
        ]
        assert set(np.max(sides, axis=1)) == {20}


@pytest.mark.parametrize("split", SPLITS)
def test_each_digit_is_there_as_often(split: Split) -> None:
    counts = np.bincount(load_font_digits(split).labels, minlength=10)
    assert len(counts) == 10
    assert counts.min() > 0.9 * counts.max()


def test_no_family_is_in_two_splits() -> None:
    names = [entry["name"] for entry in MANIFEST]
    assert len(names) == len(set(names))
    with np.load(GLYPHS_FILE, allow_pickle=False) as arrays:
        for kind in ("digit", "letter"):
            for split in SPLITS:
                families = set(arrays[f"{split}_{kind}_families"].tolist())
                assert families == {i for i, f in enumerate(MANIFEST) if f["split"] == split}


def test_families_that_are_only_measured_with_are_absent() -> None:
    assert {entry["split"] for entry in MANIFEST} == set(SPLITS)
    text = MANIFEST_FILE.read_text(encoding="utf-8").lower()
    for name in ("dkg", "breip", "humor", "klee", "rufscript", "sjfonts", "bwht", "wenkai"):
        assert name not in text


def test_each_licence_lets_drawn_glyphs_be_distributed() -> None:
    for entry in MANIFEST:
        licence = entry["licence"]
        assert "GPL" not in licence or licence.endswith("with font exception")


def test_hand_checked_glyphs() -> None:
    seven = glyph("Caveat", "7")  # crossed: a bar on both sides of the stem
    assert seven[15, 11:13].min() > 128
    assert seven[16, 16] > 128
    zero = glyph("Anonymous Pro", "0")  # slashed
    assert zero[14, 13:15].min() > 128
    one = glyph("Playwrite DE Grund", "1")  # with a flag, without a foot
    assert one[9, 11:14].max() > 128
    assert one[24, :13].max() == 0
    four = glyph("Shadows Into Light", "4")  # closed
    assert four[6:8, 16].min() > 128


def test_strokes_are_thinner_and_thicker() -> None:
    thin, usual, thick = (glyph("Caveat", "3", stroke).sum(dtype=int) for stroke in range(3))
    assert thin < 0.8 * usual < usual < 0.8 * thick


def test_nothing_is_pickled() -> None:
    with np.load(GLYPHS_FILE, allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.uint8)}


def test_another_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(GLYPHS_FILE.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="install that again"):
        load_font_digits("train", path=path)
    with pytest.raises(DataError, match="cannot be read"):
        load_font_letters("train", path=tmp_path / "missing.npz")
