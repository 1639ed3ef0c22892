"""The one run of an accelerator: what it concludes from figures, and that it runs."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.benchmarks import accelerator_parts
from experiments.benchmarks.accelerator import (
    DEFAULT_OUTPUT,
    PARTS,
    REQUIREMENTS,
    Part,
    describe,
    judge,
    main,
    skip,
)
from experiments.common.provenance import ROOT


@pytest.mark.parametrize(
    ("name", "figure", "is_met"),
    [
        ("paper_seconds", 19.99, True),
        ("paper_seconds", 20.0, False),  # less is required
        ("standard_seconds", 11.9, True),
        ("standard_seconds", 12.0, False),
        ("training_50", 1.3, True),
        ("training_50", 1.299, False),
        ("training_256", 1.31, True),
        ("maps_float32", 0.5, True),
        ("maps_float32", 0.499, False),
        ("maps_bfloat16", 0.49, False),
        ("scenes_per_second", 200.0, True),
        ("scenes_per_second", 199.9, False),
        ("scenes_per_second", math.nan, False),
    ],
)
def test_a_figure_meets_its_requirement_or_not(name: str, figure: float, is_met: bool) -> None:
    (verdict,) = judge([name], {name: figure, "other": 1e9})
    assert verdict["met"] is is_met
    assert verdict["measured"] is figure
    assert verdict["requirement"] == REQUIREMENTS[name].text


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    without_torch = judge(["training_50"], {"training_50": None})
    assert [(v["met"], v["required"]) for v in without_torch] == [(None, "≥ 1.3")]
    assert judge(["maps_float32"], {})[0]["met"] is None
    assert judge([], {"maps_float32": 1.0}) == []


def test_a_part_is_skipped_only_if_too_little_of_the_budget_is_left() -> None:
    part = Part("maps", 70, ())
    assert skip(part, 70) is None
    outcome = skip(part, 69.4)
    assert outcome == {
        "state": "skipped",
        "reason": "it takes about 70 s; 69 s are left of the budget",
    }
    late = skip(part, -3)
    assert late
    assert late["reason"].endswith("0 s are left of the budget")


def test_the_lines_say_what_is_missed_and_why() -> None:
    part = Part("peer-50", 80, ("training_50",))
    lines = describe(part, {"state": "done"}, judge(part.requirements, {"training_50": 1.25}))
    assert lines[0] == "peer-50: done"
    assert lines[1].endswith(": 1.25, required ≥ 1.3: NOT met")
    lines = describe(part, {"state": "skipped", "reason": "no time"}, judge(part.requirements, {}))
    assert lines[0] == "peer-50: skipped: no time"
    assert lines[1].endswith(": required ≥ 1.3: not measured")


def test_every_requirement_belongs_to_one_part_that_can_be_run() -> None:
    named = [name for part in PARTS for name in part.requirements]
    assert sorted(named) == sorted(REQUIREMENTS)
    assert [*accelerator_parts.PARTS] == ["header", *(part.name for part in PARTS)]
    assert sum(part.expected_seconds for part in PARTS) + 10 <= 480


def test_small_figures_never_replace_the_committed_result(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected --output with --small"):
        main(small=True)
    with pytest.raises(SystemExit, match="expected --output with --small"):
        main(small=True, output=DEFAULT_OUTPUT.parent / ".." / "results" / DEFAULT_OUTPUT.name)
    with pytest.raises(SystemExit, match=r"expected --output to end in \.json"):
        main(small=True, output=tmp_path / "result.txt")


def test_a_run_of_training_with_small_sizes_draws_no_pictures() -> None:
    words = accelerator_parts.SMALL_RUN
    assert dict(zip(words[::2], words[1::2], strict=True))["--negative-framed"] == "0"


@pytest.mark.slow
def test_the_whole_run_on_a_cpu_with_small_sizes(tmp_path: Path) -> None:
    output = tmp_path / "small.json"
    before = DEFAULT_OUTPUT.read_bytes() if DEFAULT_OUTPUT.exists() else None
    process = _run("--small", "--output", str(output), "--budget-s", "900")
    assert process.returncode == 0, process.stdout + process.stderr
    result = json.loads(output.read_text(encoding="utf-8"))
    assert result["small"] is True
    assert result["hardware"]["devices"] == ["cpu", "cpu"]
    parts = result["parts"]
    assert [*parts] == [part.name for part in PARTS]
    assert {part["state"] for part in parts.values()} == {"done"}
    assert parts["train-paper"]["steps"] == 2
    for name, part in parts.items():
        for verdict in part["verdicts"]:
            if name.startswith("peer") and part["torch"] == "not installed":
                assert verdict["met"] is None
            else:
                assert verdict["measured"] > 0
    rows = parts["scaling"]["rows"]
    assert {(row["task"], row["devices"]) for row in rows} == {
        (task, count) for count in (1, 2) for task in ("maps", "detect", "detect-components")
    }
    assert (DEFAULT_OUTPUT.read_bytes() if DEFAULT_OUTPUT.exists() else None) == before


def test_a_cpu_is_refused_without_small_sizes(tmp_path: Path) -> None:
    process = _run("--output", str(tmp_path / "result.json"))
    assert process.returncode == 1
    assert "there is no accelerator here" in process.stderr
    assert not any(tmp_path.iterdir())


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments.benchmarks.accelerator", *options],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
    )
