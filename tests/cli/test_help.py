"""The help texts of the commands: they are complete, and agree with the code."""

import importlib
import inspect

import pytest
from command_line import exit_status

from digits_jax.cli.main import COMMANDS
from digits_jax.detect.config import DEFAULT_CONFIG

HELP_COMMANDS = [command for command in COMMANDS if command not in ("train", "evaluate")]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal so wide that no sentence is wrapped."""
    monkeypatch.setenv("COLUMNS", "2000")


def help_of(*command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the help of a command, without the frames around it."""
    assert exit_status(*command, "--help") == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_the_overview_has_one_summary_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    overview = help_of(capsys=capsys)
    assert "• train " in overview
    assert "• evaluate " in overview
    for command in HELP_COMMANDS:
        module = importlib.import_module(f"digits_jax.cli.{command}")
        summary, *_ = str(inspect.getdoc(getattr(module, command))).split("\n\n")
        assert f"• {command} {summary}" in overview
    # The paragraph about JSON lines belongs to the help of detect alone.
    assert "JSON line" not in overview
    assert "JSON line" in help_of("detect", capsys=capsys)


@pytest.mark.parametrize("command", HELP_COMMANDS)
def test_a_command_accepts_and_documents_its_weights(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(command, capsys=capsys)
    if command == "benchmark":  # which times the network, whatever its weights
        assert "--weights" not in text
    else:
        assert "--weights pretrained|WORKDIR|FILE" in text
        assert "(default: pretrained)" in text


def test_detect_documents_the_default_thresholds_sizes_and_method(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_of("detect", capsys=capsys)
    config = DEFAULT_CONFIG
    assert f"{config.min_score:g} for ink on black" in text
    assert f"{config.photo_min_score:g} for other pictures" in text
    assert f"(default: {config.min_size:g})" in text
    assert config.max_size is config.max_detections is None
    assert "(default: any size)" in text
    assert "and any number of them" in text
    assert "--method {components,windows} How to search." in text
    assert f"(default: {config.method})" in text


def test_classify_documents_the_default_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of("classify", capsys=capsys)
    assert "what has a lower one is not a digit" in text
    assert "(default: 0.3)" in text


def test_score_documents_dataset_and_its_former_name_family(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_of("score", capsys=capsys)
    assert "--dataset {native,savi-d,mnist-od,page,textured}" in text
    assert "--family" in text
