"""The examples of docs/forms.md, and those of PDF and HEIC files, run as they are written."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import exit_status

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(sh|json)\n(.*?)```", re.DOTALL)


def matches(found: Any, documented: Any) -> bool:
    """Returns whether all that is documented was found, floats (scores) to a thousandth."""
    if isinstance(documented, dict):
        return all(matches(found[key], value) for key, value in documented.items())
    if isinstance(documented, list):
        return len(found) == len(documented) and all(map(matches, found, documented))
    if isinstance(documented, float):
        return bool(found == pytest.approx(documented, abs=1e-3))
    return type(found) is type(documented) and bool(found == documented)


@pytest.mark.slow
def test_the_examples_of_forms_give_what_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
    results: list[dict[str, Any]] = []
    compared = 0
    for kind, block in BLOCK.findall(text):
        if kind == "json":
            documented = json.loads(block)
            if "text" in documented:  # one number
                date, *others = results[0]["numbers"]
                assert len(others) == 4
                assert {number["text"] for number in others} == {None}
                results[0]["numbers"] = [date]
                documented = {"numbers": [documented]}
            assert matches(results[0], documented)
            compared += 1
            continue
        results = []
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "echo":
                assert words[2] == ">"
                Path(words[3]).write_text(words[1])
                continue
            assert words[0] == ".venv/bin/digits-jax"
            assert exit_status(*words[1:]) == 0
            results.append(json.loads(capsys.readouterr().out))
        if "--digits 5" in block:
            assert exit_status("detect", "examples/form.png", "--read", "--pattern", r"\d{5}") == 0
            assert json.loads(capsys.readouterr().out) == results[1]
        if "--grid" in block:  # the other way that its comment names
            assert exit_status("detect", "examples/form.png", "--grid", "1x5") == 0
            assert json.loads(capsys.readouterr().out) == results[0]
    assert compared == 4
    assert results[0]["rotation"] == 0  # of the last example


@pytest.mark.slow
def test_the_example_of_pdf_and_heic_files_runs_as_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    blocks = [block for kind, block in BLOCK.findall(text) if "form.pdf" in block]
    for line in blocks[0].splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == ".venv/bin/python":
            subprocess.run([sys.executable, *words[1:]], check=True)
        else:
            assert words[0] == ".venv/bin/digits-jax"
            assert exit_status(*words[1:]) == 0
    form, phone = map(json.loads, capsys.readouterr().out.splitlines())
    assert (form["width"], form["height"]) == (1080, 690)  # 360 × 230 px at 100 per inch, at 300
    texts = [number["text"] for number in form["numbers"]]
    assert texts[:3] == ["17/05/2024", "-3.14", "42"]
    tasks = json.loads(Path("tasks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == ["form.pdf", "phone.heic"]
    assert len(tasks[1]["predictions"][0]["result"]) == len(phone["detections"]) > 0
