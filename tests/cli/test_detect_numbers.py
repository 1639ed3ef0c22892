"""`digits-jax detect --read`: numbers, and the patterns that they have to fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from clear_digits import ClearDigits
from command_line import exit_status, save_image
from number_pages import write

import digits_jax
from digits_jax.data.mnist import Mnist


@pytest.fixture(scope="module")
def clear_digits(mnist: Mnist) -> ClearDigits:
    return ClearDigits(digits_jax.load_pretrained(), mnist.validation)


def test_read_adds_numbers_to_the_lines(
    tmp_path: Path, clear_digits: ClearDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    page = save_image(tmp_path / "page.png", write("-3.14", clear_digits).image)
    assert exit_status("detect", page, "--read") == 0
    result = json.loads(capsys.readouterr().out)
    keys = ["image", "width", "height", "detections", "lines", "numbers"]
    assert list(result) == keys
    (number,) = result["numbers"]
    assert list(number) == ["text", "value", "box", "score", "digits"]
    assert (number["text"], number["value"]) == ("-3.14", -3.14)
    labels = [result["detections"][k]["label"] for k in number["digits"]]
    assert labels == [3, 1, 4]


def test_a_pattern_and_a_number_of_digits_constrain_numbers(
    tmp_path: Path, clear_digits: ClearDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    page = save_image(tmp_path / "page.png", write("17/05/2024", clear_digits).image)
    date = r"[0-3]\d/[01]\d/20\d{2}"
    for options, text in [
        (("--pattern", date), "17/05/2024"),
        (("--digits", "8"), None),
        (("--pattern", r"\d/2"), None),
    ]:
        assert exit_status("detect", page, "--read", *options) == 0
        (number,) = json.loads(capsys.readouterr().out)["numbers"]
        assert (number["text"], number["constrained"]) == (text, True)
        assert (number["score"] > 0.5) == (text is not None)


def test_an_image_that_is_read_in_strips_has_numbers_without_signs(
    tmp_path: Path, clear_digits: ClearDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "page.npy", write("-3.14", clear_digits).image)
    assert exit_status("detect", tmp_path / "page.npy", "--read") == 0
    printed = capsys.readouterr()
    (number,) = json.loads(printed.out)["numbers"]
    assert number["text"] == "314"
    assert "page.npy is read in strips: its numbers have no signs" in printed.err


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pattern", "1"], "expected --read, --regions or --grid with --pattern"),
        (["--digits", "5"], "--grid with --digits; got none"),
        (["--read", "--digits", "0"], "--digits to be 1 to 1000; got 0"),
        (["--read", "--digits", "5", "--pattern", "1"], r"got both; add the number"),
        (["--read", "--pattern", "(1"], "pattern (1: expected ) after a group"),
        (["--digits", "5", "--format", "csv"], "--format jsonl with --digits; got csv"),
        (["--read", "--pattern", "1", "--method", "windows"], "components with --pattern"),
    ],
)
def test_options_that_cannot_be_combined_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = save_image(tmp_path / "page.png", np.zeros((20, 20), np.uint8))
    assert exit_status("detect", page, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line
