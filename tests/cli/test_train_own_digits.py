"""`digits-jax train --digits … --init …`: its options, and the walk-through of docs/training.md."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import exit_status, save_image

from digits_jax.cli import train as train_module
from digits_jax.cli.main import main
from digits_jax.cli.train import base_config
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.train.named_configs import CONFIGS

ROOT = Path(__file__).parents[2]
# So that no pictures are drawn, which takes a minute.
SHORT_OPTIONS = [
    *("--steps", "2", "--batch-size", "16", "--mnist-share", "0.5"),
    *(f"--{name}=0" for name in ("neighbours", "other-hands", "isolated-digits")),
    *(f"--{name}=0" for name in ("jittered-crops", "negative-framed", "negative-blank")),
    *(f"--negative-{name}=0" for name in ("off-centre", "wrong-size", "shapes", "textures")),
]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--init", "released"], "finetune"),
        (["--init=runs/mine"], "finetune"),
        (["--init", "released", "--config", "quick"], "quick"),
        (["--digits", "mine"], "standard"),
    ],
)
def test_a_start_from_weights_means_finetune_unless_another_config_is_named(
    arguments: list[str], name: str
) -> None:
    assert base_config(arguments) == name


def test_sources_and_weights_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}

    def train(config: object, workdir: Path, seed: int, **options: Any) -> None:
        passed.update(options, config=config, workdir=workdir)
        raise SystemExit(7)

    monkeypatch.setattr(train_module, "load_mnist", lambda *_: None)
    monkeypatch.setattr(train_module, "train", train)
    command = ["train", "--digits", "mine", "emnist:a.gz", "--init", "released"]
    assert exit_status(*command, "--convolution-share", "0") == 7
    assert passed["digits"] == ("mine", "emnist:a.gz")
    assert passed["init"] == "released"
    assert passed["config"].convolution_share == 0
    assert passed["config"].steps == CONFIGS["finetune"].steps
    assert passed["workdir"] == Path("runs/finetune")


def test_a_source_that_cannot_be_read_is_one_line_and_leaves_no_folder(
    tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("Dear all,")
    workdir = tmp_path / "run"
    status = exit_status("train", "--digits", tmp_path / "letter.txt", "--workdir", workdir)
    assert status == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"digits-jax: .*letter\.txt is of no format that is read.* 0 to 9", message)
    assert not workdir.exists()


def commands_of_the_documentation() -> list[list[str]]:
    """Returns the commands of the section's first block, as words without the program's name."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    block = text.split("## Your own digits")[1].split("```sh\n")[1].split("```")[0]
    lines = [line.partition(" #")[0] for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    assert all(line[0] == ".venv/bin/digits-jax" for line in words)
    return [line[1:] for line in words]


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_the_walk_through_detect_correct_fine_tune_works_as_written(
    tmp_path: Path,
    mnist: Mnist,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands of docs/training.md, with two steps instead of 300."""
    monkeypatch.chdir(tmp_path)
    scans, mine = tmp_path / "scans", tmp_path / "mine"
    for k, scene in enumerate(compose("page", "validation", 6, 3, mnist=mnist)):
        save_image(scans / f"{k}.png", np.asarray(scene.image))
    detect_crops, train, detect_again = commands_of_the_documentation()
    assert detect_crops == ["detect", "scans", "--crops", "mine"]
    main(detect_crops)
    capsys.readouterr()
    found = sorted(mine.glob("[0-9]/*.png"))
    assert len(found) > 20
    (mine / "none").mkdir()
    found[0].rename(mine / "none" / found[0].name)  # what is no digit
    found[1].rename(mine / "3" / f"moved-{found[1].name}")  # what was wrong

    main([*train, *SHORT_OPTIONS])
    messages = capsys.readouterr().err
    assert "subfolders of other names are not read: none" in messages
    assert re.search(r"your own test digits, \d+: \d+ errors before, \d+ errors now", messages)
    assert re.search(r"MNIST's test digits, 10,000: 51 errors before, \d+ errors now", messages)
    run = json.loads((tmp_path / "runs" / "mine" / "run.json").read_text())
    counts = [sum(run["digits"][split]) for split in ("train", "validation", "test")]
    assert sum(counts) == len(found) - 1
    assert run["digits"]["sources"] == ["mine"]
    assert run["init"] == "pretrained"

    main(detect_again)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(len(line["detections"]) for line in lines) > 20
