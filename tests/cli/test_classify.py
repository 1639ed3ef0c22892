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
from digits_jax.cli.arguments import resolve_weights
from digits_jax.data.mnist import Mnist

pytestmark = pytest.mark.usefixtures("pretrained")


def test_classify_prints_the_networks_probabilities(
    tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]
) -> None:
    digit = np.asarray(mnist.validation.images[0])
    exact = save_image(tmp_path / "exact.png", digit)
    enlarged = np.pad(digit, 30).repeat(3, axis=0).repeat(3, axis=1)
    large = save_image(tmp_path / "large.png", enlarged)
    blank = save_image(tmp_path / "blank.png", np.zeros((28, 28), np.uint8))
    assert exit_status("classify", exact, blank, large, "--json", "--no-normalise") == 1
    printed = capsys.readouterr()
    assert f"digits-jax: {blank} is blank" in printed.err
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["image"] for row in rows] == [str(exact), str(large)]
    pixels = np.asarray(digit, np.float32)[None, ..., None] / 255
    logits = digits_jax.classify(resolve_weights("pretrained"), jax.numpy.asarray(pixels))
    np.testing.assert_allclose(rows[0]["probabilities"], jax.nn.softmax(logits)[0], rtol=1e-4)
    for row in rows:
        assert len(row["probabilities"]) == 10
        assert math.isclose(sum(row["probabilities"]), 1, abs_tol=1e-5)
        assert row["label"] == int(np.argmax(row["probabilities"]))

    assert exit_status("classify", exact, large, "--no-normalise") == 0
    best = [(row["image"], row["label"], 100 * max(row["probabilities"])) for row in rows]
    expected = [f"{path}: {label} ({percent:.1f} %)" for path, label, percent in best]
    assert capsys.readouterr().out.splitlines() == expected


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
