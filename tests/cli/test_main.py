"""The command line: exit statuses and messages, and what it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import exit_status

import digits_jax
from digits_jax.cli.main import main
from digits_jax.train.workdir import read_metrics, read_run


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `digits-jax` in another process."""
    command = [str(Path(sys.executable).with_name("digits-jax")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_version_prints_the_name_and_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"digits-jax {digits_jax.__version__}\n"


def test_help_of_train_shows_the_defaults_of_the_named_configuration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "2000")  # no line is wrapped
    assert exit_status("train", "--recipe", "paper", "--help") == 0
    paper = capsys.readouterr().out
    assert "(default: 20000)" in paper
    assert "runs/paper" in paper
    assert exit_status("train", "--help") == 0
    assert "(default: one-cycle)" in capsys.readouterr().out


@pytest.mark.slow
def test_too_little_memory_is_a_line_that_names_the_option_to_lower(tmp_path: Path) -> None:
    """A batch of which one array alone would take over a hundred gigabytes, in 12 of memory."""
    options = ("--config", "quick", "--workdir", str(tmp_path), "--batch-size", "2000000")
    executable = str(Path(sys.executable).with_name("digits-jax"))
    limited = ["prlimit", "--as=12000000000", executable, "train", *options]
    train = subprocess.run(limited, capture_output=True, text=True, timeout=300)
    assert train.returncode == 1
    last = train.stderr.splitlines()[-1]
    assert "digits-jax: the device has too little memory: Out of memory allocating" in last
    assert last.endswith("To need less, lower --batch-size")


@pytest.mark.slow
def test_evaluate_repeats_the_test_accuracy_of_a_finished_training_run(tmp_path: Path) -> None:
    """Ten steps on the real digits, each command in a process of its own."""
    workdir = tmp_path / "run"
    small = ("--steps", "10", "--batch-size", "16")
    train = run_command(
        "train", "--recipe", "paper", "--workdir", str(workdir), "--seed", "3", *small
    )
    assert train.returncode == 0, train.stderr
    begun = read_run(workdir)
    assert (begun.config.steps, begun.config.batch_size, begun.seed) == (10, 16, 3)
    assert begun.config.learning_rate == 1e-4
    (row,) = read_metrics(workdir / "metrics.jsonl")
    assert "errors in 10,000 digits" in train.stderr
    assert (workdir / "training_curve.png").exists()

    result = json.loads(run_command("evaluate", str(workdir), "--json").stdout)
    assert result["test_accuracy"] == row.test_accuracy
    assert row.test_accuracy is not None
    assert result["errors"] == round(10_000 * (1 - row.test_accuracy))
    assert (result["examples"], result["step"], result["seed"]) == (10_000, 10, 3)


def test_a_folder_without_a_run_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("evaluate", str(tmp_path)) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"digits-jax: {tmp_path} holds no training run")
    assert printed.count("\n") == 1


def test_missing_data_is_reported_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("train", "--workdir", str(tmp_path / "run"), "--data-dir", str(tmp_path / "none"))
    assert exit_status(*arguments) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--steps", "0"],
        ["train", "--recipe", "fast"],
        ["detect"],
        ["classify"],
        ["maps", "a.png"],
        ["score"],
        ["score", "--dataset", "other"],
        ["nonsense"],
        [],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_detect_imports_nothing_that_it_does_not_use() -> None:
    """Its compiled program is cached, so that imports are much of the time of a run."""
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
    assert printed.stdout.endswith("heavy: set()\n"), printed.stderr


def test_importing_the_package_is_light() -> None:
    """Libraries for datasets, checkpoints, plots and commands are imported when they are used."""
    heavy = {"orbax", "tensorflow_datasets", "tensorflow", "matplotlib", "tyro", "tqdm"}
    script = f"import sys, digits_jax; print({heavy} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed.stderr
