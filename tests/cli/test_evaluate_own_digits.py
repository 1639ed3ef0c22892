"""`digits-jax evaluate` of a run on one's own digits: its own test digits, and MNIST's."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_status
from digit_files import write_npz
from short_run import SHORT, first_digits

from digits_jax.cli import evaluate as evaluate_module
from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Mnist
from digits_jax.train.comparison import read_comparison
from digits_jax.train.loop import train
from digits_jax.train.training_data import read_digits_again
from digits_jax.train.workdir import RunInfo


@pytest.fixture
def few_mnist(mnist: Mnist, monkeypatch: pytest.MonkeyPatch) -> Mnist:
    monkeypatch.setattr(evaluate_module, "load_mnist", first_digits)
    return first_digits()


def own_digits(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    digits = load_font_digits("validation")
    return np.asarray(digits.images)[:count], np.asarray(digits.labels)[:count]


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_errors_on_the_run_s_own_test_digits_are_counted_beside_mnist_s(
    few_mnist: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are those of the end of training; digits that have changed since are refused."""
    workdir, source = tmp_path / "run", write_npz(tmp_path / "mine", *own_digits())
    train(SHORT, workdir, mnist=few_mnist, digits=source)
    comparison = read_comparison(workdir)
    assert comparison is not None
    own = comparison["after"]["digits"]
    assert own["examples"] != 500
    capsys.readouterr()

    assert exit_status("evaluate", workdir, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["digits"] == own
    assert (result["errors"], result["examples"]) == (
        comparison["after"]["mnist"]["errors"],
        500,
    )
    assert exit_status("evaluate", workdir) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{result['test_accuracy']:.2%} test accuracy on MNIST: ")
    assert lines[1:] == [
        f"{own['accuracy']:.2%} test accuracy on your own digits: {own['errors']} errors in "
        f"{own['examples']}"
    ]

    write_npz(tmp_path / "mine", *own_digits(299))
    assert exit_status("evaluate", workdir, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {**result, "digits": None}
    reason = f"{source}: expected the digits that the run was trained on"
    assert f"the run's own test digits are not counted: {reason}" in printed.err
    source.unlink()
    assert exit_status("evaluate", workdir) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == lines[:1]
    assert "does not exist" in printed.err


def test_arrays_are_not_kept_and_a_message_says_so(mnist: Mnist) -> None:
    run = RunInfo(SHORT, 0, "a" * 64, digits={"sources": []})
    with pytest.raises(DataError, match="own digits were arrays, which are not kept: expected"):
        read_digits_again(run, mnist, print)
