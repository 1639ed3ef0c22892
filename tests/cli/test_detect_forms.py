"""`digits-jax detect` on forms and turned pages: --regions, --grid and --rotate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clear_digits import ClearDigits
from command_line import exit_status, read_json_lines, save_image
from number_pages import write

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.images.read import read_image


@pytest.fixture(scope="module")
def clear_digits(mnist: Mnist) -> ClearDigits:
    return ClearDigits(digits_jax.load_pretrained(), mnist.validation)


@pytest.fixture(scope="module")
def page(clear_digits: ClearDigits) -> np.ndarray:
    """A line "2745" of black ink on white, 100 px high and 260 wide."""
    return 255 - write("2745", clear_digits).image[30:130, 40:300]


def detect(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert exit_status("detect", *arguments) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_is_read_upright_and_its_boxes_are_those_of_the_page_as_given(
    turn: int, tmp_path: Path, page: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has to be turned clockwise by `turn`, so it is given turned the other way."""
    upright = detect(capsys, save_image(tmp_path / "upright.png", page), "--read")
    given = np.rot90(page, turn // 90)
    path = save_image(tmp_path / "given.png", np.ascontiguousarray(given))
    annotated = tmp_path / "annotated"
    result = detect(capsys, path, "--read", "--rotate", "auto", "--annotate", annotated)
    assert (result["rotation"], result["lines"]) == (turn, ["2745"])
    assert (result["height"], result["width"]) == given.shape
    labels = [digit["label"] for digit in result["detections"]]
    assert sorted(labels) == [2, 4, 5, 7]
    for digit in result["detections"]:
        x0, y0, x1, y1 = digit["box"]
        own = np.rot90(given[y0:y1, x0:x1], -turn // 90)
        match = next(d for d in upright["detections"] if d["label"] == digit["label"])
        left, top, right, bottom = match["box"]
        np.testing.assert_array_equal(own, page[top:bottom, left:right])
    height, width = read_image(annotated / "given.png").shape[:2]  # drawn larger
    assert height * given.shape[1] == width * given.shape[0]
    if turn:
        fixed = detect(capsys, path, "--read", "--rotate", turn)
        assert fixed == result
    else:
        assert "rotation" not in detect(capsys, path, "--read", "--rotate", "0")


def test_pages_with_ink_and_no_digit_are_counted_unless_they_are_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = np.full((60, 90), 255, np.uint8)
    bar[28:32, 10:80] = 0
    save_image(tmp_path / "a.png", bar)
    noise = np.random.default_rng(0).integers(-4, 5, (60, 90))
    save_image(tmp_path / "b.png", (230 + noise).astype(np.uint8))
    save_image(tmp_path / "c.png", bar[::-1].copy())
    hint = "no digit was found on pages with ink"
    assert exit_status("detect", tmp_path) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if hint in line]
    assert len(lines) == 1
    assert lines[0].endswith(
        f"2 of this run's, the first of them in {tmp_path / 'a.png'}; "
        "if pages may be the wrong way round, add --rotate auto"
    )
    assert exit_status("detect", tmp_path / "b.png") == 0
    assert exit_status("detect", tmp_path / "a.png", "--rotate", "auto") == 0
    assert hint not in capsys.readouterr().err


def test_regions_are_those_of_the_turned_page(
    tmp_path: Path, page: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    regions = tmp_path / "regions.json"
    regions.write_text('{"unit": "share", "left": [0, 0, 0.5, 1], "right": [0.5, 0, 1, 1]}')
    given = np.ascontiguousarray(np.rot90(page, 2))
    path = save_image(tmp_path / "page.png", given)
    found = detect(capsys, path, "--regions", regions, "--rotate", "180")["regions"]
    texts = [found[name]["text"] for name in ("left", "right")]
    assert "".join(texts) == "2745"
    assert all(texts)
    width, height = given.shape[::-1]
    assert found["left"]["box"] == [width / 2, 0, width, height]  # of the page as given
    assert found["right"]["box"] == [0, 0, width / 2, height]
    numbers = [number["text"] for name in found for number in found[name]["numbers"]]
    assert "".join(numbers) == "2745"


def test_a_grid_is_read_cell_by_cell_and_its_absence_is_told(
    tmp_path: Path, clear_digits: ClearDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    ink = np.zeros((200, 260), np.uint8)
    for x in range(20, 260, 55):
        ink[20:142, x : x + 2] = 255
    for y in (20, 80, 140):
        ink[y : y + 2, 20:242] = 255
    for (row, column), label in {(0, 0): 4, (0, 3): 2, (1, 1): 7}.items():
        (digit,) = clear_digits.of_sides([36], label=label)
        height, width = digit.ink.shape
        y, x = 32 + 60 * row, 32 + 55 * column
        ink[y : y + height, x : x + width] = digit.ink
    path = save_image(tmp_path / "form.png", 255 - ink)
    cells = [[4, None, None, 2], [None, 7, None, None]]
    for size in ("auto", "2x4"):
        grid = detect(capsys, path, "--grid", size)["grid"]
        assert (grid["rows"], grid["columns"], grid["cells"]) == (2, 4, cells)
        present = [[value is not None for value in row] for row in grid["scores"]]
        assert present == [[value is not None for value in row] for row in cells]
    output = tmp_path / "none.jsonl"
    assert exit_status("detect", path, "--grid", "9x9", "--output", output) == 0
    assert read_json_lines(output)[0]["grid"] is None
    assert "form.png shows a grid of 2x4 cells, not of 9x9" in capsys.readouterr().err


@pytest.mark.usefixtures("fake_detector")
def test_an_image_that_is_read_in_strips_is_not_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "page.npy", np.zeros((40, 50), np.uint8))
    result = detect_with_errors(capsys, tmp_path / "page.npy", "--rotate", "90", "--grid", "auto")
    assert (result["rotation"], result["grid"]) == (0, None)


def detect_with_errors(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert exit_status("detect", *arguments) == 0
    printed = capsys.readouterr()
    assert "page.npy is read in strips and is not turned" in printed.err
    assert "page.npy is read in strips: its numbers have no signs, and a grid" in printed.err
    result: dict[str, Any] = json.loads(printed.out)
    return result


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "9"], "rows x columns such as --grid 9x9; got 9"),
        (["--grid", ""], "got nothing"),
        (["--grid", "9x-9"], "got 9x-9"),
        (["--grid", "٣x٣"], "got ٣x٣"),
        (["--grid", "0x9"], "expected the rows of --grid to be 1 to 1000; got 0"),
        (["--grid", "9x2000"], "expected the columns of --grid to be 1 to 1000; got 2000"),
        (["--grid", "auto", "--format", "coco"], "--format jsonl with --grid; got coco"),
        (["--regions", "none.json"], "none.json cannot be read: No such file"),
        (["--regions", "none.json", "--format", "csv"], "--format jsonl with --regions; got csv"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_image(tmp_path / "page.png", np.zeros((20, 20), np.uint8))
    assert exit_status("detect", path, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line
