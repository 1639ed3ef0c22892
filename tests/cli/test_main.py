"""The commands as a person types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import digits_jax
from digits_jax.cli.main import main
from digits_jax.detect.detector import MIN_SCORE
from digits_jax.detect.inputs import SURER
from digits_jax.train.workdir import read_metrics, read_run


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("digits-jax")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def exit_status(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"digits-jax {digits_jax.__version__}\n"


def test_help_shows_the_recipe_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("train", "--recipe", "paper", "--help") == 0
    paper = capsys.readouterr().out
    assert "(default: 20000)" in paper
    assert "runs/paper" in paper
    assert exit_status("train", "--help") == 0
    assert "(default: one-cycle)" in capsys.readouterr().out


def test_train_then_evaluate(tmp_path: Path) -> None:
    """The whole way on the real digits, if only for ten steps."""
    workdir = tmp_path / "run"
    small = ("--steps", "10", "--batch-size", "16")
    train = run("train", "--recipe", "paper", "--workdir", str(workdir), "--seed", "3", *small)
    assert train.returncode == 0, train.stderr
    begun = read_run(workdir)
    assert (begun.recipe.steps, begun.recipe.batch_size, begun.seed) == (10, 16, 3)
    assert begun.recipe.learning_rate == 1e-4
    (row,) = read_metrics(workdir / "metrics.jsonl")
    assert "errors in 10,000 digits" in train.stderr
    assert (workdir / "training_curve.png").exists()

    result = json.loads(run("evaluate", str(workdir), "--json").stdout)
    assert result["test_accuracy"] == row.test_accuracy
    assert result["errors"] == round(10_000 * (1 - row.test_accuracy))
    assert (result["examples"], result["step"], result["seed"]) == (10_000, 10, 3)


def test_a_folder_without_a_run_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("evaluate", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"digits-jax: {tmp_path} holds no training run")
    assert said.count("\n") == 1


def test_missing_data_is_said_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("train", "--workdir", str(tmp_path / "run"), "--data-dir", str(tmp_path / "none"))
    assert exit_status(*arguments) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments", [["train", "--steps", "0"], ["train", "--recipe", "fast"], ["nonsense"], []]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_detect_does_not_wait_for_what_trains() -> None:
    """Its program is kept compiled, so that imports are much of what a cold start takes."""
    heavy = {
        "optax",
        "orbax",
        "matplotlib",
        "gradio",
        "digits_jax.train.loop",
        "digits_jax.demo.page",
    }
    script = (
        "import sys; from digits_jax.cli.main import main\n"
        "try: main(['detect', '--help'])\n"
        f"except SystemExit: print('heavy:', {heavy} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "--min-score" in printed.stdout
    said = " ".join(printed.stdout.replace("│", " ").split())
    assert f"{MIN_SCORE:g} in ink on black" in said
    assert f"{SURER:g} in other pictures" in said
    assert printed.stdout.endswith("heavy: set()\n"), printed.stderr


def test_importing_the_package_is_light() -> None:
    """No dataset library, no Orbax, no plotting: they load when first used."""
    heavy = {"orbax", "tensorflow_datasets", "tensorflow", "matplotlib", "tyro", "tqdm"}
    script = f"import sys, digits_jax; print({heavy} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed.stderr
