"""`digits-jax classify`: its output, and pictures of other kinds than MNIST's."""

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import exit_status, save_image
from PIL import Image

import digits_jax
from digits_jax.cli import classify as classify_command
from digits_jax.data.mnist import Mnist
from digits_jax.detect.calibration import single_digit_scores, to_search_score
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.train.initial_weights import resolve_weights

pytestmark = pytest.mark.usefixtures("pretrained")


def test_classify_prints_the_networks_probabilities(
    tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]
) -> None:
    digit = np.asarray(mnist.validation.images[0])
    exact = save_image(tmp_path / "exact.png", digit)
    enlarged = np.pad(digit, 30).repeat(3, axis=0).repeat(3, axis=1)
    large = save_image(tmp_path / "large.png", enlarged)
    blank = save_image(tmp_path / "blank.png", np.zeros((28, 28), np.uint8))
    options = ("--no-normalise", "--min-score", "0")
    assert exit_status("classify", exact, blank, large, "--json", *options) == 1
    printed = capsys.readouterr()
    assert f"digits-jax: {blank} is blank" in printed.err
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["image"] for row in rows] == [str(exact), str(large)]
    pixels = np.asarray(digit, np.float32)[None, ..., None] / 255
    logits = digits_jax.classify(resolve_weights("pretrained"), jax.numpy.asarray(pixels))
    np.testing.assert_allclose(rows[0]["probabilities"], jax.nn.softmax(logits)[0], rtol=1e-4)
    for row in rows:
        assert list(row) == ["image", "label", "score", "probabilities"]
        second, best = sorted(row["probabilities"])[-2:]
        label, margin = np.array([row["label"]]), np.array([best - second])
        (score,) = single_digit_scores(label, margin, DEFAULT_CONFIG.component_odds)
        assert row["score"] == pytest.approx(score, rel=1e-3)
        assert len(row["probabilities"]) == 10
        assert math.isclose(sum(row["probabilities"]), 1, abs_tol=1e-5)
        assert row["label"] == int(np.argmax(row["probabilities"]))

    assert exit_status("classify", exact, large, *options) == 0
    best = [(row["image"], row["label"], 100 * max(row["probabilities"])) for row in rows]
    expected = [f"{path}: {label} ({percent:.1f} %)" for path, label, percent in best]
    assert capsys.readouterr().out.splitlines() == expected


def test_what_scores_below_the_threshold_is_not_a_digit(
    tmp_path: Path,
    mnist: Mnist,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = [
        save_image(tmp_path / name, np.asarray(image))
        for name, image in zip(("a.png", "b.png"), mnist.validation.images[:2], strict=True)
    ]
    rows = np.full((2, 10), 0.1, np.float32)
    rows[0, 2:4], rows[1], rows[1, 2] = (0.11, 0.09), 0.001, 0.991
    monkeypatch.setattr(classify_command, "_predict", lambda params, images: rows[: len(images)])
    assert exit_status("classify", *paths, "--json") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["label"], second["label"]) == (None, 2)
    threshold = to_search_score(DEFAULT_CONFIG.min_score, DEFAULT_CONFIG.reliability)
    assert first["score"] < threshold < second["score"]
    assert first["probabilities"] == pytest.approx(rows[0].tolist())
    for options, verdicts in [
        ((), ["not a digit", "2 (99.1 %)"]),
        (("--min-score", "0"), ["2 (11.0 %)", "2 (99.1 %)"]),
        (("--min-score", "1"), ["not a digit", "not a digit"]),
    ]:
        assert exit_status("classify", *paths, *options) == 0
        expected = [f"{path}: {verdict}" for path, verdict in zip(paths, verdicts, strict=True)]
        assert capsys.readouterr().out.splitlines() == expected
    assert exit_status("classify", paths[0], "--probabilities") == 0
    assert capsys.readouterr().out == (
        f"{paths[0]}: not a digit; 0: 10.0 %, 1: 10.0 %, 2: 11.0 %, 3: 9.0 %, 4: 10.0 %, "
        "5: 10.0 %, 6: 10.0 %, 7: 10.0 %, 8: 10.0 %, 9: 10.0 %\n"
    )


def test_a_threshold_outside_0_to_1_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("classify", tmp_path / "none.png", "--min-score", "2") == 1
    message = "digits-jax: expected --min-score to be 0 to 1; got 2\n"
    assert capsys.readouterr().err == message


def test_dark_ink_on_paper_gets_the_probabilities_of_bright_ink_on_black(
    tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]
) -> None:
    digit = np.asarray(mnist.validation.images[0])
    paper = np.stack([230 - 0.8 * digit, 220 - 0.7 * digit, 190 - 0.7 * digit], axis=-1)
    padded = np.pad(paper.astype(np.uint8), ((9, 9), (30, 0), (0, 0)), "edge")
    photo = save_image(tmp_path / "photo.png", padded)
    drawing = save_image(tmp_path / "drawing.png", np.pad(digit, ((9, 9), (30, 0))))
    assert exit_status("classify", photo, drawing, "--json") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    np.testing.assert_allclose(first["probabilities"], second["probabilities"], atol=0.02)


def test_pillows_warning_of_damaged_metadata_is_not_shown(
    tmp_path: Path, scene_file: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Worker threads read images, and Python's warning filters belong to the whole process."""
    damaged = tmp_path / "damaged.jpg"
    Image.open(scene_file).save(damaged, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    assert exit_status("classify", damaged) == 0
    assert not [warning for warning in recwarn if "EXIF" in str(warning.message)]
