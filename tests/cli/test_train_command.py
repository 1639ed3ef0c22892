"""The options of `digits-jax train` and what its help says."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digits_jax.cli import train as train_module
from digits_jax.cli.main import main
from digits_jax.cli.train import base_config
from digits_jax.train.config import FORMER_NAMES, TrainConfig
from digits_jax.train.loop import Diverged
from digits_jax.train.named_configs import CONFIGS


class Stopped(Exception):
    """Stands for the training, which these tests do not need."""


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[TrainConfig, Path, int]]:
    """Returns the config, work folder and seed that the command passes on for its arguments."""

    def parse(*arguments: str) -> tuple[TrainConfig, Path, int]:
        passed: list[Any] = []

        def train(config: TrainConfig, workdir: Path, seed: int, **_: Any) -> None:
            passed.extend((config, workdir, seed))
            raise Stopped

        monkeypatch.setattr(train_module, "load_mnist", lambda *_: None)
        monkeypatch.setattr(train_module, "train", train)
        with pytest.raises(Stopped):
            main(["train", *arguments])
        return passed[0], passed[1], passed[2]

    return parse


@pytest.mark.parametrize("option", ["--config", "--recipe"])
def test_config_and_its_former_name_recipe_give_the_defaults_of_the_other_options(
    option: str, parsed: Callable[..., tuple[TrainConfig, Path, int]]
) -> None:
    assert parsed() == (CONFIGS["standard"], Path("runs/standard"), 0)
    assert parsed(option, "paper") == (CONFIGS["paper"], Path("runs/paper"), 0)
    assert parsed(f"{option}=paper", "--seed", "3") == (CONFIGS["paper"], Path("runs/paper"), 3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "standard"),
        (["--seed", "1", "--config", "paper"], "paper"),
        (["--recipe=paper", "--config=standard"], "standard"),
        (["--config", "standard", "--recipe", "paper"], "paper"),
        (["--workdir", "paper"], "standard"),
        (["--config", "fast"], "standard"),  # tyro refuses it
    ],
)
def test_the_last_config_option_counts(arguments: list[str], name: str) -> None:
    assert base_config(arguments) == name


@pytest.mark.parametrize("field", FORMER_NAMES)
def test_a_field_is_set_by_its_name_and_by_its_former_name(
    field: str, parsed: Callable[..., tuple[TrainConfig, Path, int]]
) -> None:
    values = {"translate_px": "5", "compute_dtype": "float32", "aspect": "1.5"}
    text = values.get(field, "0.25")
    for name in (field, FORMER_NAMES[field]):
        config, _, _ = parsed(f"--{name.replace('_', '-')}", text)
        value = getattr(config, field)
        assert str(value) == text
        assert value != getattr(CONFIGS["standard"], field)
        assert config == dataclasses.replace(CONFIGS["standard"], **{field: value})


def test_help_describes_every_option_in_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for word in ("DIGITS_JAX_CACHE", "package index", "run.json", "training_curve.png"):
        assert word in text
    for field in dataclasses.fields(TrainConfig):
        option = f"--{field.name.replace('_', '-')}"
        names = [option, *([f"--{FORMER_NAMES[field.name]}"] if field.name in FORMER_NAMES else [])]
        values = r"(?:INT|FLOAT|\{[\w,-]+\})"
        former = names[-1].replace("_", "-")
        head = f"{option} {values}" + (f", {former} {values}" if len(names) > 1 else "")
        if isinstance(field.default, bool):
            head = f"{option}, --no-{option[2:]}"
        found = re.search(rf"{head} (.+?) \(default: [^)]+\)", text)
        assert found, option
        sentence = r"[A-Z][^.]*(?:\d\.\d[^.]*)*\."
        assert re.fullmatch(rf"{sentence}(?: {sentence})*", found[1]), found[1]


def test_divergence_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(*_: Any, **__: Any) -> None:
        raise Diverged("the loss is not finite")

    monkeypatch.setattr(train_module, "load_mnist", lambda *_: None)
    monkeypatch.setattr(train_module, "train", train)
    with pytest.raises(SystemExit) as exit_:
        main(["train"])
    assert exit_.value.code == 1
    assert capsys.readouterr().err == "digits-jax: the loss is not finite\n"
