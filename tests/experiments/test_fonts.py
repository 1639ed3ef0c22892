"""The list of fonts is sound, and drawn strokes change their width without breaking."""

import json

import numpy as np
import pytest

from digits_jax.data.font_glyphs import GLYPHS_FILE, MANIFEST_FILE
from experiments.common.fonts import CAPITALS_ALONE, QUICK_HANDS, read_families
from experiments.studies.render_fonts import SPLITS, stroke_width, thicker, thinner, topology


def test_families_are_distinct_and_their_fields_known() -> None:
    families = read_families()
    for field in ("name", "sha256"):
        assert len({getattr(family, field) for family in families}) == len(families)
    assert {family.kind for family in families} == {"hand", "print"}
    assert {family.split for family in families} == {"train", "validation", "test"}
    assert {family.package.partition(":")[0] for family in families} == {"npm", "deb", "pypi"}


def test_quick_hands_are_test_families() -> None:
    splits = {family.name: family.split for family in read_families()}
    assert {splits[name] for name in QUICK_HANDS} == {"test"}


def test_of_families_of_capitals_alone_no_d_is_shipped() -> None:
    """All other families that have an a have a d, so that the list has no family too many."""
    shipped = [family.name for family in read_families() if family.split in SPLITS]

    def families_with(letter: str) -> set[str]:
        with np.load(GLYPHS_FILE) as arrays:
            return {
                shipped[index]
                for split in SPLITS
                for index in arrays[f"{split}_letter_families"][
                    arrays[f"{split}_letter_codes"] == ord(letter)
                ]
            }

    capitals_alone = set(CAPITALS_ALONE)
    assert families_with("a") - families_with("d") == capitals_alone & set(shipped)
    assert capitals_alone <= {family.name for family in read_families()}


@pytest.mark.parametrize(
    "series", ["npm:@fontsource/playwrite", "npm:@fontsource/nanum", "deb:fonts-woowa-bm"]
)
def test_a_series_is_in_one_split(series: str) -> None:
    found = [family for family in read_families() if family.package.startswith(series)]
    assert len(found) > 1
    assert len({family.split for family in found}) == 1


def test_the_manifest_lists_the_families_that_are_shipped() -> None:
    manifest = json.loads(MANIFEST_FILE.read_text(encoding="utf-8"))["families"]
    shipped = [family._asdict() for family in read_families() if family.split in SPLITS]
    assert manifest == shipped


def ring(width: int) -> np.ndarray:
    """Draws a 0 with an outer diameter of 200 px."""
    y, x = np.indices((360, 360)) - 179.5
    radius = np.hypot(y, x)
    return np.where((radius < 100) & (radius > 100 - width), 255, 0).astype(np.uint8)


def test_strokes_become_thinner_and_thicker() -> None:
    usual = ring(25)
    assert stroke_width(usual) == pytest.approx(2.5, abs=0.1)
    thin, thick = thinner(usual), thicker(usual)
    assert thin is not None
    assert stroke_width(thin) == pytest.approx(0.55 * 2.5, abs=0.15)
    assert thick is not None
    assert 1.2 * 2.5 < stroke_width(thick) < 1.75 * 2.5
    for changed in (thin, thick):
        assert topology(changed > 127, 10) == topology(usual > 127, 10) == (1, 2)


def test_a_hairline_becomes_no_thinner_and_a_hole_is_not_closed() -> None:
    assert thinner(ring(9)) is None
    assert thicker(ring(94)) is None
