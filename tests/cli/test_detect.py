"""`digits-jax detect` on single images: its output, its thresholds, and what it refuses."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from command_line import exit_status, fake_detect_each, one_digit, save_image
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.detect.config import DEFAULT_CONFIG, HEADER_KEY
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image
from digits_jax.models.weights import save_weights

ONE_SCALE = ("--method", "windows", "--min-size", "28", "--max-size", "28")
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.png"

pytestmark = pytest.mark.usefixtures("pretrained")


@pytest.mark.parametrize("options", [(), pytest.param(ONE_SCALE, marks=pytest.mark.slow)])
def test_detect_prints_json_objects_and_continues_after_an_unreadable_image(
    options: tuple[str, ...],
    tmp_path: Path,
    scene_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The untrained weights give scores of a few hundredths."""
    annotated = tmp_path / "new" / "annotated"
    missing = tmp_path / "none.png"
    options = (*options, "--min-score", "0", "--annotate", str(annotated))
    assert exit_status("detect", missing, scene_file, *options) == 1
    printed = capsys.readouterr()
    first, last = [line for line in printed.err.splitlines() if line.startswith("digits-jax:")]
    assert first.startswith(f"digits-jax: {missing} does not exist")
    assert last == "digits-jax: 1 of 2 images could not be read"
    error, result = map(json.loads, printed.out.splitlines())
    assert error == {"image": str(missing), "error": first.removeprefix("digits-jax: ")}
    assert list(result) == ["image", "width", "height", "detections"]
    assert (result["image"], result["width"], result["height"]) == (str(scene_file), 60, 60)
    assert result["detections"]
    scores = [digit["score"] for digit in result["detections"]]
    assert scores == sorted(scores, reverse=True)
    for digit in result["detections"]:
        assert set(digit) == {"label", "score", "box"}
        x0, y0, x1, y1 = digit["box"]
        assert 0 <= x0 < x1 <= 60
        assert 0 <= y0 < y1 <= 60
    assert [path.name for path in annotated.iterdir()] == ["scene.png"]


@pytest.mark.usefixtures("fake_detector")
def test_detect_annotates_images_of_equal_names_without_replacing_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.zeros((40, 50), np.uint8)
    names = ("a/one.png", "b/one.bmp", "c/ONE.png", "one.png")
    images = [save_image(tmp_path / name, image) for name in names]
    output = tmp_path / "new" / "results.jsonl"
    # The last image lies in the folder of the annotated pictures.
    assert exit_status("detect", *images, "--output", output, "--annotate", tmp_path) == 0
    assert capsys.readouterr().out == ""
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["image"] for row in rows] == [str(path) for path in images]
    digit = {"label": 5, "score": 0.99, "box": [1, 2, 3, 4]}
    assert all(row["detections"] == [digit] for row in rows)
    assert (rows[0]["width"], rows[0]["height"]) == (50, 40)
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"one.png", "one-2.png", "one-3.png", "ONE-4.png", "one-5.png"}
    np.testing.assert_array_equal(read_image(images[-1]), image)
    assert [path.name for path in output.parent.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize(("side", "count"), [(60, "256"), (1000, "2,048")])
def test_detect_warns_of_a_page_whose_windows_have_dropped_candidates(
    side: int,
    count: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The number that is examined grows with the padded image: 8 blocks of 256 in 1024×1024 px."""
    monkeypatch.setattr(Detector, "detect_each", fake_detect_each(one_digit(truncated=True)))
    page = save_image(tmp_path / "page.png", np.zeros((side, side), np.uint8))
    assert exit_status("detect", page, "--method", "windows") == 0
    printed = capsys.readouterr()
    assert f"{page} may show more digits than the {count} candidates that are" in printed.err
    assert len(json.loads(printed.out)["detections"]) == 1


def test_detect_warns_where_the_config_of_the_weights_limits_the_detections(
    tmp_path: Path,
    scene_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = dataclasses.replace(DEFAULT_CONFIG, max_detections=1)
    path = tmp_path / "own.safetensors"
    save_weights(path, digits_jax.init(jax.random.key(1)), {HEADER_KEY: config.to_json()})
    monkeypatch.setattr(Detector, "detect_each", fake_detect_each(one_digit(truncated=True)))
    assert exit_status("detect", scene_file, "--weights", path) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"digits-jax: {scene_file} shows more digits than the 1 to which")


@pytest.mark.usefixtures("fake_detector")
def test_probabilities_are_added_to_each_detection_on_request(
    scene_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", scene_file, "--probabilities") == 0
    (digit,) = json.loads(capsys.readouterr().out)["detections"]
    probabilities = [0.91 if label == 5 else 0.01 for label in range(10)]
    assert digit == {"label": 5, "score": 0.99, "box": [1, 2, 3, 4], "probabilities": probabilities}


def test_the_default_threshold_is_higher_for_pictures_that_are_not_ink_on_black(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--min-score replaces it, and without normalising all pictures count as ink on black."""
    scores = [0.8, 0.6, 0.5, 0.2]
    config = dataclasses.replace(DEFAULT_CONFIG, min_score=0.3, photo_min_score=0.7)
    weights = tmp_path / "weights.safetensors"
    save_weights(weights, digits_jax.load_pretrained(), {HEADER_KEY: config.to_json()})
    search_thresholds = []

    def detect_each(detector: Detector, images: Any) -> Any:
        search_thresholds.append(detector.config.min_score)
        for name, image in images:
            reached = [score for score in scores if score >= detector.config.min_score]
            boxes = np.full((len(reached), 4), (1, 2, 8, 9))
            labels, floats = boxes[:, 0], np.array(reached, np.float32)
            yield name, image, Detections(boxes, boxes, labels, floats, truncated=False)

    monkeypatch.setattr(Detector, "detect_each", detect_each)
    ink = np.zeros((40, 40), np.uint8)
    ink[10:30, 18:22] = 255
    drawing = save_image(tmp_path / "drawing.png", ink)
    photo = save_image(tmp_path / "photo.png", 255 - ink)
    for options, expected in [
        ([], [scores[:3], scores[:1]]),
        (["--no-normalise"], [scores[:3], scores[:3]]),
        (["--min-score", "0.1"], [scores, scores]),
        (["--min-score", "0.55"], [scores[:2], scores[:2]]),
    ]:
        assert exit_status("detect", drawing, photo, "--weights", weights, *options) == 0
        printed = capsys.readouterr()
        rows = [json.loads(line)["detections"] for line in printed.out.splitlines()]
        assert [[digit["score"] for digit in row] for row in rows] == expected
        assert printed.err == ""
    assert search_thresholds == [0.3, 0.3, 0.1, 0.55]


def test_detect_searches_the_normalised_picture_and_annotates_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def detect_each(_: Detector, images: Any) -> Any:
        for name, image in images:
            searched.append(image)
            yield name, image, one_digit()

    monkeypatch.setattr(Detector, "detect_each", detect_each)
    picture = np.full((60, 50, 3), (200, 220, 210), np.uint8)
    picture[20:40, 20:25] = 30, 40, 90
    photo = save_image(tmp_path / "photo.png", picture)
    assert exit_status("detect", photo, "--annotate", tmp_path / "annotated") == 0
    np.testing.assert_array_equal(searched[0], normalise(picture))
    assert searched[0][30, 22] == 255 > searched[0][5, 5] == 0
    assert exit_status("detect", photo, "--no-normalise") == 0
    np.testing.assert_array_equal(searched[1], read_image(photo))
    annotated = np.asarray(Image.open(tmp_path / "annotated" / "photo.png"))
    assert (annotated[-1, -1] == picture[-1, -1]).all()


@pytest.mark.usefixtures("fake_detector")
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, scene_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", scene_file, "--output", tmp_path) == 1
    assert f"digits-jax: {tmp_path} is not a file" in capsys.readouterr().err
    assert exit_status("detect", scene_file, "--output", "/dev/null") == 1
    assert "digits-jax: /dev/null is not a file" in capsys.readouterr().err
    assert exit_status("detect", scene_file, "--annotate", scene_file) == 1
    assert f"digits-jax: {scene_file} is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-score", "2"], "0 to 1; got 2"),
        (["--min-score", "nan"], "0 to 1; got nan"),
        (["--min-size", "3"], "expected --min-size to be 4 to 10000 px; got 3"),
        (["--min-size", "nan"], "--min-size to be 4 to 10000 px; got nan"),
        (["--max-size", "inf"], "--max-size to be 4 to 10000 px; got inf"),
        (["--max-size", "1e30"], "--max-size to be 4 to 10000 px; got 1e+30"),
        (["--min-size", "50", "--max-size", "20"], "got 50.0, 20.0"),
        (["--probabilities", "--format", "csv"], "--format jsonl with --probabilities; got csv"),
        (["--probabilities", "--format", "coco"], "--probabilities; got coco, which cannot hold"),
        (["--probabilities", "--method", "windows"], "--probabilities; got windows, which keeps"),
        (["--weights", "none.safetensors"], "none.safetensors"),
        (["--weights", "no/run"], "holds no training run"),
        (["--weights", "."], "holds no training run"),
    ],
)
def test_detect_refuses_bad_options_in_one_line(
    options: list[str], message: str, scene_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("detect", scene_file, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line


def test_the_example_is_a_scene_of_validation_digits(mnist: Mnist) -> None:
    (scene,) = compose("mnist-od", "validation", 1, 19, mnist=mnist)
    np.testing.assert_array_equal(read_image(EXAMPLE), scene.image)
