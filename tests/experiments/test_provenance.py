"""The headers of results."""

import sys
from types import SimpleNamespace

import pytest

from experiments.common.provenance import ROOT, running_command


@pytest.mark.parametrize(
    ("module", "program", "expected"),
    [
        (
            "experiments.studies.accuracy",
            "x.py",
            "python -m experiments.studies.accuracy --seeds 1",
        ),
        (None, f"{ROOT}/experiments/x.py", "python experiments/x.py --seeds 1"),
    ],
)
def test_the_running_command_names_a_module_or_a_script(
    module: str | None, program: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SimpleNamespace(name=module) if module else None
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=spec))
    monkeypatch.setattr(sys, "argv", [program, "--seeds", "1"])
    assert running_command() == expected
