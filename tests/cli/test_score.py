"""`digits-jax score`."""

import json
import math
import typing
from typing import Any

import numpy as np
import pytest
from command_line import exit_status

from digits_jax.cli.score import score
from digits_jax.data.scenes import SCENE_DATASETS, Scene, compose
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.eval.detection_metrics import DetectionScores
from digits_jax.images.normalise import normalise

pytestmark = pytest.mark.usefixtures("pretrained")


def detect_each_but_last(scenes: list[Scene]) -> Any:
    """Returns a method in place of `Detector.detect_each` that misses a scene's last digit."""
    by_image = {normalise(scene.image).tobytes(): scene for scene in scenes}

    def detect_each(detector: Detector, images: Any) -> Any:
        assert detector.config.min_score <= 0.01
        for name, image in images:
            scene = by_image[image.tobytes()]
            boxes, labels = scene.boxes_xyxy[:-1], scene.labels[:-1]
            scores = np.ones(len(labels), np.float32)
            detections = Detections(boxes, boxes.astype(np.float32), labels, scores, False)
            yield name, image, detections

    return detect_each


@pytest.mark.parametrize(
    ("dataset", "min_score"),
    [("native", DEFAULT_CONFIG.min_score), ("page", DEFAULT_CONFIG.photo_min_score)],
)
def test_score_prints_the_metrics_of_detections_that_miss_one_digit_a_scene(
    dataset: str,
    min_score: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenes = compose(dataset, "validation", 12, 3)
    monkeypatch.setattr(Detector, "detect_each", detect_each_but_last(scenes))
    command = ("score", "--dataset", dataset, "--split", "validation", "--count", 12, "--seed", 3)
    assert exit_status(*command, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    digits = sum(len(scene.labels) for scene in scenes)
    assert list(result)[-len(DetectionScores._fields) :] == list(DetectionScores._fields)
    assert (result["dataset"], result["split"], result["count"]) == (dataset, "validation", 12)
    assert (result["seed"], result["weights"]) == (3, "pretrained")
    assert (result["min_score"], result["scenes"], result["digits"]) == (min_score, 12, digits)
    assert (result["precision"], result["count_accuracy"]) == (1, 0)
    assert math.isclose(result["recall"], (digits - 12) / digits)
    # The former names of two keys.
    assert (result["family"], result["right_count"]) == (dataset, 0)

    assert exit_status(*command) == 0
    printed = capsys.readouterr().out
    assert "precision 100.00%" in printed
    assert f"{digits} validation digits" in printed


def test_score_accepts_the_former_names_of_option_dataset_and_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = compose("textured", "validation", 2, 3)
    monkeypatch.setattr(Detector, "detect_each", detect_each_but_last(scenes))
    options = ("--split", "validation", "--count", 2, "--seed", 3, "--json")
    assert exit_status("score", "--dataset", "textured", *options) == 0
    result = json.loads(capsys.readouterr().out)
    former = ("--family", "coloured", "--weights", "released")
    assert exit_status("score", *former, *options) == 0
    assert json.loads(capsys.readouterr().out) == {
        **result,
        "family": "coloured",
        "weights": "released",
    }


def test_score_takes_all_scene_datasets() -> None:
    hint = typing.get_type_hints(score)["dataset"]
    assert typing.get_args(hint) == (*SCENE_DATASETS, "coloured")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "expected --count to be at least 1; got 0"),
        (["--seed", "-1"], "expected --seed to be at least 0; got -1"),
        (["--data-dir", "none"], "none"),
        (["--weights", "none.safetensors"], "none.safetensors"),
    ],
)
def test_score_refuses_bad_options_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("score", "--dataset", "native", *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line
