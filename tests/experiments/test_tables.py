"""The tables of README.md and docs/ that `experiments.figures.tables` writes."""

import shutil
from pathlib import Path

import pytest

from experiments.common.provenance import ROOT
from experiments.figures.tables import PARTS, main, replace_part

BEGIN = "<!-- speed: written by python -m experiments.figures.tables -->"


@pytest.mark.parametrize("file", PARTS)
def test_the_committed_tables_are_written_from_the_committed_results(
    file: str, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    for name in PARTS:
        shutil.copy(ROOT / name, tmp_path / name)
    main(tmp_path)
    assert (tmp_path / file).read_text() == (ROOT / file).read_text(), (
        "run `python -m experiments.figures.tables`"
    )


def test_a_part_is_replaced_between_its_markers_only() -> None:
    text = f"before\n{BEGIN}\nold\n<!-- end of speed -->\nafter <!-- end of other -->\n"
    expected = f"before\n{BEGIN}\nnew\n<!-- end of speed -->\nafter <!-- end of other -->\n"
    assert replace_part(text, "speed", "new") == expected
    assert replace_part(expected, "speed", "new") == expected


@pytest.mark.parametrize("text", ["", f"{BEGIN}\nold", "old <!-- end of speed -->"])
def test_a_missing_marker_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the lines <!-- speed: written by"):
        replace_part(text, "speed", "new")


@pytest.mark.parametrize("part", ["README.md results", "docs/results.md detection"])
def test_tables_show_current_names_of_results_with_former_names(part: str) -> None:
    file, name = part.split()
    table = PARTS[file][name](ROOT / "experiments" / "results").split("\n\n")[0]
    assert "`textured`" in table
    for former in ("coloured", "released", "right count", "VOC"):
        assert former not in table
