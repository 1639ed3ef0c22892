"""The commands that read images, as a person types them."""

import json
import math
import typing
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import pytest
from command_line import finding, one_digit, saved, status
from PIL import Image

import digits_jax
from digits_jax.cli import score as scoring
from digits_jax.cli.arguments import resolve_weights
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import SCENE_DATASETS, Scene, compose
from digits_jax.detect import batched as stream
from digits_jax.detect.detector import MIN_SCORE, BatchDetections, Detections
from digits_jax.detect.inputs import SURER
from digits_jax.eval.detection_metrics import DetectionScores
from digits_jax.images.mnist_format import frame_digit
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image

ONE_SCALE = ("--min-size", "28", "--max-size", "28", "--min-score", "0")
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.png"

pytestmark = pytest.mark.usefixtures("released")


@pytest.fixture
def scene(tmp_path: Path, mnist: Mnist) -> Path:
    canvas = np.zeros((60, 60), np.uint8)
    canvas[:28, :28], canvas[30:58, 30:58] = np.asarray(mnist.validation.images[:2])
    return saved(tmp_path / "scene.png", canvas)


def test_detect_prints_objects_and_goes_on_after_a_bad_image(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "new" / "pictures"
    bad = tmp_path / "none.png"
    assert status("detect", bad, scene, *ONE_SCALE, "--annotate", pictures) == 1
    printed = capsys.readouterr()
    first, last = [line for line in printed.err.splitlines() if line.startswith("digits-jax:")]
    assert first.startswith(f"digits-jax: {bad} does not exist")
    assert last == "digits-jax: 1 of 2 images could not be read"
    missing, found = map(json.loads, printed.out.splitlines())
    assert missing == {"image": str(bad), "error": first.removeprefix("digits-jax: ")}
    assert list(found) == ["image", "width", "height", "detections"]
    assert (found["image"], found["width"], found["height"]) == (str(scene), 60, 60)
    assert found["detections"]
    scores = [digit["score"] for digit in found["detections"]]
    assert scores == sorted(scores, reverse=True)
    for digit in found["detections"]:
        assert set(digit) == {"label", "score", "box"}
        x0, y0, x1, y1 = digit["box"]
        assert 0 <= x0 < x1 <= 60
        assert 0 <= y0 < y1 <= 60
    assert [path.name for path in pictures.iterdir()] == ["scene.png"]


@pytest.mark.usefixtures("fake")
def test_detect_writes_a_file_and_pictures_of_images_of_one_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.zeros((40, 50), np.uint8)
    images = [
        saved(tmp_path / name, image) for name in ("a/one.png", "b/one.bmp", "c/ONE.png", "one.png")
    ]
    output = tmp_path / "new" / "found.jsonl"
    # The pictures go where the last image lies, and leave it as it is.
    assert status("detect", *images, "--output", output, "--annotate", tmp_path) == 0
    assert capsys.readouterr().out == ""
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["image"] for row in rows] == [str(path) for path in images]
    digit = {"label": 5, "score": 0.99, "box": [1, 2, 3, 4]}
    assert all(row["detections"] == [digit] for row in rows)
    assert (rows[0]["width"], rows[0]["height"]) == (50, 40)
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"one.png", "one-2.png", "one-3.png", "ONE-4.png", "one-5.png"}
    np.testing.assert_array_equal(read_image(images[-1]), image)
    assert [path.name for path in output.parent.iterdir()] == ["found.jsonl"]


def test_damaged_metadata_is_not_spoken_of(
    tmp_path: Path, scene: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Read by a worker: Pillow warns of it, and Python's filters are the process's."""
    damaged = tmp_path / "damaged.jpg"
    Image.open(scene).save(damaged, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    assert status("classify", damaged) == 0
    assert not [warned for warned in recwarn if "EXIF" in str(warned.message)]


def test_detect_says_that_there_are_more(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "detect_each", finding(one_digit(overflow=True)))
    assert status("detect", scene) == 0
    printed = capsys.readouterr()
    assert f"{scene} has more that may be digits" in printed.err
    assert len(json.loads(printed.out)["detections"]) == 1


def test_digits_in_other_pictures_than_ink_on_black_have_to_be_surer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless a score is named, or the picture is to be searched as it is."""
    scores, asked = [0.8, 0.6, 0.5, 0.2], []

    def detect_each(params: object, images: Any, *, min_score: float, **_: object) -> Any:
        asked.append(min_score)
        for name, image in images:
            sure = np.array([score for score in scores if score >= min_score], np.float32)
            boxes = np.full((len(sure), 4), (1, 2, 8, 9))
            yield name, image, Detections(boxes, boxes, boxes[:, 0], sure, overflow=True)

    monkeypatch.setattr(stream, "detect_each", detect_each)
    ink = np.zeros((40, 40), np.uint8)
    ink[10:30, 18:22] = 255
    drawn, photo = saved(tmp_path / "drawn.png", ink), saved(tmp_path / "photo.png", 255 - ink)
    for arguments, expected in [
        ([], [scores[:3], scores[:1]]),
        (["--no-normalise"], [scores[:3], scores[:3]]),
        (["--min-score", "0.1"], [scores, scores]),
        (["--min-score", "0.55"], [scores[:2], scores[:2]]),
    ]:
        assert status("detect", drawn, photo, *arguments) == 0
        printed = capsys.readouterr()
        found = [json.loads(line)["detections"] for line in printed.out.splitlines()]
        assert [[digit["score"] for digit in of_image] for of_image in found] == expected
        assert f"{drawn} has more" in printed.err
        assert f"{photo} has more" in printed.err
    assert asked == [MIN_SCORE, MIN_SCORE, 0.1, 0.55]


@pytest.mark.usefixtures("fake")
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("detect", scene, "--output", tmp_path) == 1
    assert f"digits-jax: {tmp_path} is no file" in capsys.readouterr().err
    assert status("detect", scene, "--output", "/dev/null") == 1
    assert not Path("/dev/null").is_file()
    assert status("detect", scene, "--annotate", scene) == 1
    assert f"digits-jax: {scene} is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-score", "2"], "0 to 1; got 2"),
        (["--min-size", "50", "--max-size", "20"], "got 50.0, 20.0"),
        (["--weights", "none.safetensors"], "none.safetensors"),
        (["--weights", "no/run"], "holds no training run"),
    ],
)
def test_detect_refuses_in_one_line(
    options: list[str], said: str, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("detect", scene, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert said in line


def test_classify(tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]) -> None:
    digit = np.asarray(mnist.validation.images[0])
    exact = saved(tmp_path / "exact.png", digit)
    large = saved(tmp_path / "large.png", np.pad(digit, 30).repeat(3, axis=0).repeat(3, axis=1))
    blank = saved(tmp_path / "blank.png", np.zeros((28, 28), np.uint8))
    assert status("classify", exact, blank, large, "--json", "--no-normalise") == 1
    printed = capsys.readouterr()
    assert f"digits-jax: {blank} is blank" in printed.err
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["image"] for row in rows] == [str(exact), str(large)]
    pixels = np.asarray(digit, np.float32)[None, ..., None] / 255
    logits = digits_jax.classify(resolve_weights("released"), jax.numpy.asarray(pixels))
    np.testing.assert_allclose(rows[0]["probabilities"], jax.nn.softmax(logits)[0], rtol=1e-4)
    for row in rows:
        assert len(row["probabilities"]) == 10
        assert math.isclose(sum(row["probabilities"]), 1, abs_tol=1e-5)
        assert row["label"] == int(np.argmax(row["probabilities"]))

    assert status("classify", exact, large, "--no-normalise") == 0
    best = [(row["image"], row["label"], 100 * max(row["probabilities"])) for row in rows]
    expected = [f"{path}: {label} ({percent:.1f} %)" for path, label, percent in best]
    assert capsys.readouterr().out.splitlines() == expected


def test_dark_ink_on_paper_is_read_as_bright_ink_on_black(
    tmp_path: Path, mnist: Mnist, capsys: pytest.CaptureFixture[str]
) -> None:
    digit = np.asarray(mnist.validation.images[0])
    paper = np.stack([230 - 0.8 * digit, 220 - 0.7 * digit, 190 - 0.7 * digit], axis=-1)
    photo = saved(
        tmp_path / "photo.png", np.pad(paper.astype(np.uint8), ((9, 9), (30, 0), (0, 0)), "edge")
    )
    drawn = saved(tmp_path / "drawn.png", np.pad(digit, ((9, 9), (30, 0))))
    assert status("classify", photo, drawn, "--json") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    np.testing.assert_allclose(first["probabilities"], second["probabilities"], atol=0.02)


def test_ink_that_is_searched_is_normalised_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def detect_each(params: object, images: Any, **_: object) -> Any:
        for name, image in images:
            searched.append(image)
            yield name, image, one_digit()

    monkeypatch.setattr(stream, "detect_each", detect_each)
    picture = np.full((60, 50, 3), (200, 220, 210), np.uint8)
    picture[20:40, 20:25] = 30, 40, 90
    photo = saved(tmp_path / "photo.png", picture)
    assert status("detect", photo, "--annotate", tmp_path / "drawn") == 0
    np.testing.assert_array_equal(searched[0], normalise(picture))
    assert searched[0][30, 22] == 255 > searched[0][5, 5] == 0
    assert status("detect", photo, "--no-normalise") == 0
    np.testing.assert_array_equal(searched[1], read_image(photo))
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "photo.png"))
    assert (drawn[-1, -1] == picture[-1, -1]).all()  # boxes are drawn on the picture as it was


def test_a_framed_digit_lies_as_mnists_do(mnist: Mnist) -> None:
    bar = np.zeros((90, 200), np.uint8)
    bar[5:85, 150:190] = 100
    framed = frame_digit(bar)
    rows, columns = (np.flatnonzero(framed.any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns), framed.max()) == (20, 10, 255)
    assert abs(rows.mean() - 14) <= 0.5
    assert abs(columns.mean() - 14) <= 0.5
    digits = np.asarray(mnist.validation.images[:100])
    np.testing.assert_array_equal([frame_digit(digit) for digit in digits], digits)
    moved = np.stack([frame_digit(np.pad(digit, ((0, 9), (20, 3)))) for digit in digits])
    # But for those whose faint edge is taken for paper.
    assert (moved == digits).all(axis=(1, 2)).mean() > 0.5
    assert np.abs(moved.astype(int) - digits).mean() < 1


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (5, 5), (2000, 2000)])
def test_thin_and_small_ink_can_be_framed(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    for k in range(max(shape) - 1):
        image[min(k, shape[0] - 1), min(k, shape[1] - 1)] = 200
    image[0, 0] = 0
    assert frame_digit(image).max() == 255


def test_maps(tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "maps"
    assert status("maps", scene, "--output", folder) == 0
    names = {"maps.npz", "class_maps.png", "confidence_maps.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(str(folder / name) in capsys.readouterr().err for name in ("maps.npz",))
    with np.load(folder / "maps.npz") as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
        label, probabilities = arrays["label"], arrays["probabilities"]
    assert shapes == {
        "probabilities": (17, 17, 10),
        "margin": (17, 17),
        "entropy": (17, 17),
        "label": (17, 17),
    }
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), label)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_maps_of_a_small_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = saved(tmp_path / "small.png", np.ones((27, 40), np.uint8))
    assert status("maps", small, "--output", tmp_path / "maps") == 1
    assert "at least 28 pixels a side, got 40 × 27" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(("family", "least"), [("native", MIN_SCORE), ("page", SURER)])
def test_score(
    family: Literal["native", "page"],
    least: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A detection that finds each scene's digits but the last one, in batches filled up."""
    scenes = compose(family, "validation", 12, 3)
    by_image = {normalise(scene.image).tobytes(): scene for scene in scenes}

    def detect_batch(params: Any, images: np.ndarray, *, min_score: float) -> BatchDetections:
        assert len(images) == scoring.SCENES_AT_ONCE
        assert min_score <= 0.01
        return all_but_last([by_image[image.tobytes()] for image in images])

    monkeypatch.setattr(scoring, "detect_batch", detect_batch)
    asked = ("score", "--family", family, "--split", "validation", "--count", 12, "--seed", 3)
    assert status(*asked, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    digits = sum(len(scene.labels) for scene in scenes)
    assert list(result)[-len(DetectionScores._fields) :] == list(DetectionScores._fields)
    assert (result["family"], result["split"], result["count"]) == (family, "validation", 12)
    assert (result["seed"], result["weights"]) == (3, "released")
    assert (result["min_score"], result["scenes"], result["digits"]) == (least, 12, digits)
    assert (result["precision"], result["right_count"]) == (1, 0)
    assert math.isclose(result["recall"], (digits - 12) / digits)

    assert status(*asked) == 0
    printed = capsys.readouterr().out
    assert "100.00% precision" in printed
    assert f"{digits} validation digits" in printed


def all_but_last(scenes: list[Scene]) -> BatchDetections:
    capacity = max(len(scene.labels) for scene in scenes)
    boxes = np.zeros((len(scenes), capacity, 4), np.int64)
    labels = np.zeros((len(scenes), capacity), np.int64)
    valid = np.zeros((len(scenes), capacity), bool)
    for i, scene in enumerate(scenes):
        n = len(scene.labels) - 1
        boxes[i, :n], labels[i, :n], valid[i, :n] = scene.boxes_xyxy[:n], scene.labels[:n], True
    scores = np.ones(labels.shape, np.float32)
    none = np.zeros(len(scenes), bool)
    return BatchDetections(boxes, boxes.astype(np.float32), labels, scores, valid, none)


def test_score_takes_every_family() -> None:
    named = typing.get_type_hints(scoring.score)["family"]
    assert typing.get_args(named) == SCENE_DATASETS


@pytest.mark.parametrize("options", [["--count", "0"], ["--seed", "-1"]])
def test_score_refuses_in_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status("score", "--family", "native", *options) == 1
    assert capsys.readouterr().err.startswith("digits-jax: expected --count of 1 or more")


@pytest.mark.parametrize(
    "arguments",
    [["detect"], ["classify"], ["maps", "a.png"], ["score"], ["score", "--family", "other"]],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_weights_may_be_a_file(untrained: Path) -> None:
    named, given = resolve_weights(str(untrained)), resolve_weights("released")
    np.testing.assert_array_equal(named["dense2"]["kernel"], given["dense2"]["kernel"])


def test_the_example_is_a_scene_of_validation_digits(mnist: Mnist) -> None:
    (scene,) = compose("mnist-od", "validation", 1, 19, mnist=mnist)
    np.testing.assert_array_equal(read_image(EXAMPLE), scene.image)
