"""The one run of an accelerator: what it concludes from figures, and that it runs."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from digits_jax.eval.tasks import Task
from experiments.benchmarks import accelerator, accelerator_parts
from experiments.benchmarks.accelerator import (
    DEFAULT_OUTPUT,
    PARTS,
    REQUIREMENTS,
    Part,
    describe,
    judge,
    keep_parts,
    main,
    skip,
)
from experiments.benchmarks.training_speed import OURS
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


EARLIER = {
    "date": "2026-01-02",
    "command": "python -m experiments.benchmarks.accelerator",
    "commit": "0123456789ab",
    "hardware": {"devices": ["gpu"]},
    "versions": {"jax": "0.10"},
    "small": False,
    "budget_seconds": 480,
    "seconds": 300,
    "parts": {
        "peer-50": {"state": "done"},
        "peer-256": {"state": "failed"},
        "detection": {"state": "done", "date": "2026-01-02"},
    },
}
FACTS = {key: EARLIER[key] for key in ("date", "command", "commit", "hardware", "versions")}


def test_parts_with_figures_stay_if_they_are_not_run_anew() -> None:
    kept = keep_parts(EARLIER, {**FACTS, "date": "2026-01-03"}, False, ["peer-50", "scaling"])
    assert kept == {"detection": {"state": "done", "date": "2026-01-02"}}
    for earlier in ({}, {**EARLIER, "commit": "of no part that stays"}):
        assert keep_parts(earlier, FACTS, False, ["peer-50", "detection"]) == {}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"commit": "ba9876543210"}, "another commit, 0123456789ab, not ba9876543210"),
        ({"hardware": {"devices": ["cpu"]}}, "another hardware"),
        ({"versions": {"jax": "0.12"}}, "another versions"),
    ],
)
def test_parts_that_cannot_be_compared_are_not_kept(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        keep_parts(EARLIER, {**FACTS, **changed}, False, ["peer-50"])


def test_parts_of_other_sizes_or_of_changed_files_are_not_kept() -> None:
    with pytest.raises(ValueError, match="another small, False, not True"):
        keep_parts(EARLIER, FACTS, True, ["peer-50"])
    changed = {"commit": "0123456789ab with uncommitted changes"}
    with pytest.raises(ValueError, match="uncommitted changes, now perhaps others"):
        keep_parts({**EARLIER, **changed}, {**FACTS, **changed}, False, ["peer-50"])


def test_named_parts_are_measured_and_the_others_of_the_file_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(part: Part, *_: object) -> dict[str, Any]:
        ran.append(part.name)
        return {"state": "done", "seconds": 1.0, **(FACTS if part.name == "header" else {})}

    monkeypatch.setattr(accelerator, "_run", run)
    output = tmp_path / "result.json"
    output.write_text(json.dumps(EARLIER), "utf-8")
    main(output=output, parts=("scaling", "peer-50"))
    assert ran == ["header", "peer-50", "scaling"]  # the most important first
    parts = json.loads(output.read_text("utf-8"))["parts"]
    assert [(name, part["state"]) for name, part in parts.items()] == [
        (name, "done") for name in ("peer-50", "detection", "scaling")
    ]
    output.write_text(json.dumps({**EARLIER, "commit": "ba9876543210"}), "utf-8")
    before = output.read_bytes()
    with pytest.raises(SystemExit, match=r"result\.json has parts of another commit, .* --output"):
        main(output=output, parts=("scaling",))
    assert output.read_bytes() == before
    main(output=output)  # all parts, so that none stays
    result = json.loads(output.read_text("utf-8"))
    assert [*result["parts"]] == [part.name for part in PARTS]
    assert {part["date"] for part in result["parts"].values()} == {FACTS["date"]}


def test_a_run_fails_by_the_parts_that_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = {"peer-256"}

    def run(part: Part, *_: object) -> dict[str, Any]:
        state = "failed" if part.name in failing else "done"
        reason = {"reason": "no memory"} if state == "failed" else {}
        return {
            "state": state,
            "seconds": 1.0,
            **reason,
            **(FACTS if part.name == "header" else {}),
        }

    monkeypatch.setattr(accelerator, "_run", run)
    output = tmp_path / "result.json"
    with pytest.raises(SystemExit, match="1"):
        main(output=output)
    main(output=output, parts=("detection",))
    parts = json.loads(output.read_text("utf-8"))["parts"]
    assert "peer-256" not in parts  # it has no figures
    assert len(parts) == len(PARTS) - 1


@pytest.mark.slow
def test_parts_run_on_a_cpu_with_small_sizes(tmp_path: Path) -> None:
    output = tmp_path / "small.json"
    before = DEFAULT_OUTPUT.read_bytes() if DEFAULT_OUTPUT.exists() else None
    names = ["train-paper", "maps-float32", "detection"]
    process = _run("--small", "--output", str(output), "--parts", *reversed(names))
    assert process.returncode == 0, process.stdout + process.stderr
    result = json.loads(output.read_text(encoding="utf-8"))
    assert result["small"] is True
    assert result["hardware"]["devices"] == ["cpu"]
    parts = result["parts"]
    assert [*parts] == names
    assert {part["state"] for part in parts.values()} == {"done"}
    assert parts["train-paper"]["steps"] == 2
    for part in parts.values():
        assert [verdict["measured"] > 0 for verdict in part["verdicts"]] == [True]
    assert (DEFAULT_OUTPUT.read_bytes() if DEFAULT_OUTPUT.exists() else None) == before


@pytest.mark.parametrize(("has_torch", "ratio"), [(True, 1.5), (False, None)])
def test_the_ratio_to_a_peer_is_measured_if_it_is_there(
    has_torch: bool, ratio: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure_batch(
        rounds: int, batch_size: int, block_seconds: float, *, with_peers: bool
    ) -> dict[str, Any]:
        assert (rounds, batch_size, block_seconds) == (7, size, 0.5)
        ratios = {"ratio_median": 1.5} if with_peers else {}
        return {"images_per_second_median": {OURS: 3.0}, **ratios}

    monkeypatch.setattr(accelerator_parts, "measure_batch", measure_batch)
    monkeypatch.setattr(accelerator_parts, "version", lambda _: "2")
    spec = object() if has_torch else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    for size in (50, 256):
        outcome = accelerator_parts.PARTS[f"peer-{size}"](False)
        assert outcome["figures"] == {f"training_{size}": ratio}
        assert outcome["torch"] == ("2" if has_torch else "not installed")
        assert outcome["batch_size"] == size


def test_scaling_is_measured_on_each_number_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(tasks: Sequence[Task], *_: object) -> list[Task]:
        return [*tasks]

    def to_rows(tasks: Sequence[Task]) -> list[tuple[str, int]]:
        return [(task.name, task.devices) for task in tasks]

    monkeypatch.setattr(accelerator_parts, "measure", measure)
    monkeypatch.setattr(accelerator_parts, "to_rows", to_rows)
    names = ("maps", "detect", "detect-components")
    rows = [(name, count) for count in (1, 2, 4) for name in names]
    assert accelerator_parts.PARTS["scaling"](True) == {"figures": {}, "rows": rows}


def test_a_cpu_is_refused_without_small_sizes(tmp_path: Path) -> None:
    process = _run("--output", str(tmp_path / "result.json"))
    assert process.returncode == 1
    assert "there is no accelerator here" in process.stderr
    assert not any(tmp_path.iterdir())


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments.benchmarks.accelerator", *options],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
        capture_output=True,
        text=True,
    )
