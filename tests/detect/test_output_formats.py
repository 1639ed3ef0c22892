"""What was found as text, held against the libraries that read it, and what is left to do."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits_jax.detect.detector import Detections
from digits_jax.detect.output_formats import (
    FinishedPages,
    Result,
    page_error,
    page_result,
    read_finished_pages,
    to_coco,
    to_csv,
    to_jsonl,
    write_results,
)
from digits_jax.images.folders import Page
from digits_jax.images.read import ImageError

PIXELS = np.zeros((40, 50), np.uint8)


def digits(boxes: Any, labels: list[int], scores: list[float]) -> Detections:
    boxes = np.asarray(boxes, np.int64)
    windows, found = boxes.astype(np.float32), np.array(scores, np.float32)
    return Detections(boxes, windows, np.array(labels, np.int64), found, False)


def results() -> list[Result]:
    two = digits([[2, 4, 12, 24], [20, 5, 26, 25]], [7, 1], [0.9, 0.1])
    one = digits([[1, 2, 3, 4]], [0], [0.75])
    return [
        page_result(Page(Path("a.png")), PIXELS, two, read=False),
        page_error(Page(Path("b.png")), ImageError("b.png is empty")),
        page_result(Page(Path("c.tif"), 0), PIXELS, digits(np.zeros((0, 4)), [], []), read=False),
        page_result(Page(Path("c.tif"), 1), PIXELS, one, read=False),
    ]


def test_objects() -> None:
    first, second, third, fourth = map(json.loads, to_jsonl(results()))
    assert first == {
        "image": "a.png",
        "width": 50,
        "height": 40,
        "detections": [
            {"label": 7, "score": 0.9, "box": [2, 4, 12, 24]},
            {"label": 1, "score": 0.1, "box": [20, 5, 26, 25]},
        ],
    }
    assert second == {"image": "b.png", "error": "b.png is empty"}
    empty = {"image": "c.tif", "page": 0, "width": 50, "height": 40, "detections": []}
    assert third == empty
    digit = {"label": 0, "score": 0.75, "box": [1, 2, 3, 4]}
    assert fourth == {**empty, "page": 1, "detections": [digit]}


def test_lines_are_read_if_they_are_asked_for() -> None:
    found = digits([[20, 5, 26, 25], [2, 4, 12, 24], [3, 60, 9, 80]], [1, 7, 2], 3 * [0.9])
    result = page_result(Page(Path("a.png")), PIXELS, found, read=True)
    assert result["lines"] == ["71", "2"]
    assert (
        page_result(Page(Path("a.png")), PIXELS, digits(np.zeros((0, 4)), [], []), read=True)[
            "lines"
        ]
        == []
    )


def test_coco_reads_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    """Every digit of the truth is found, but for one that is of another class."""
    found = json.loads("\n".join(to_coco(results())))
    assert [(row["image_id"], row["file_name"], row["page"]) for row in found] == [
        (0, "a.png", 0),
        (0, "a.png", 0),
        (3, "c.tif", 1),
    ]
    truth = COCO()
    boxes = [(0, 7, [2, 4, 10, 20]), (0, 2, [20, 5, 6, 20]), (3, 0, [1, 2, 2, 2])]
    truth.dataset = {
        "info": {},
        "images": [{"id": k} for k in range(4)],
        "categories": [{"id": digit} for digit in range(10)],
        "annotations": [
            {"id": k, "image_id": image, "category_id": label, "bbox": box, "area": 9, "iscrowd": 0}
            for k, (image, label, box) in enumerate(boxes, start=1)
        ],
    }
    truth.createIndex()
    scores = COCOeval(truth, truth.loadRes(found), "bbox")
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    precision = scores.eval["precision"][0, :, :, 0, 2].mean(axis=0)  # at IoU 0.5, of each class
    assert [precision[label] for label in (7, 0, 2)] == pytest.approx([1, 1, 0])
    capsys.readouterr()


def test_nothing_found_is_an_empty_list_and_a_table_of_no_rows() -> None:
    assert json.loads("".join(to_coco([]))) == []
    assert list(to_csv([])) == ["image,page,label,score,x0,y0,x1,y1"]


def test_a_table() -> None:
    name = 'a "b",\nc.png'
    found = digits([[1, 2, 3, 4]], [0], [1 / 3])
    named = page_result(Page(Path(name)), PIXELS, found, read=False)
    rows = list(csv.DictReader(io.StringIO("\n".join(to_csv([*results(), named])))))
    values = [list(row.values()) for row in rows]
    assert values == [
        ["a.png", "0", "7", "0.9", "2", "4", "12", "24"],
        ["a.png", "0", "1", "0.1", "20", "5", "26", "25"],
        ["c.tif", "1", "0", "0.75", "1", "2", "3", "4"],
        [name, "0", "0", "0.333333", "1", "2", "3", "4"],
    ]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    page = Page(Path("a\udcff.png"))  # as Python names the byte FF
    result = page_result(page, PIXELS, digits([[1, 2, 3, 4]], [0], [0.5]), read=False)
    write_results([result], tmp_path / "jsonl", "jsonl")
    write_results([result], tmp_path / "csv", "csv")
    assert "a�.png,0,0" in (tmp_path / "csv").read_text(encoding="utf-8")
    assert read_finished_pages(tmp_path / "jsonl").holds(page)


def test_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text("".join(f"{line}\n" for line in to_jsonl(results())))
    done = read_finished_pages(path)
    assert done.unreadable == {"b.png"}
    for page in (Page(Path("a.png")), Page(Path("b.png")), Page(Path("c.tif"), 1)):
        assert done.holds(page)
        assert not FinishedPages().holds(page)
    for page in (Page(Path("c.tif")), Page(Path("c.tif"), 2), Page(Path("d.png"))):
        assert not done.holds(page)


@pytest.mark.parametrize(
    "line", [b'{"image": "b.p\n', b"[1]\n", b'{"name": 1}\n', b"\xff\n", b"\n"]
)
def test_other_lines_are_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "found.jsonl"
    path.write_bytes(b'{"image": "a.png"}\n' + line)
    with pytest.raises(ValueError, match=r"found\.jsonl cannot be gone on with: .* in line 2"):
        read_finished_pages(path)


@pytest.mark.parametrize("form", ["jsonl", "csv", "coco"])
def test_a_file_is_whole_or_not_there(tmp_path: Path, form: Any) -> None:
    """And each line is written when it comes."""
    path = tmp_path / "found"
    path.write_text("old")

    def stopped() -> Any:
        yield results()[0]
        (growing,) = set(tmp_path.iterdir()) - {path}
        assert "a.png" in growing.read_text()
        assert path.read_text() == "old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(stopped(), path, form)
    assert path.read_text() == "old"
    left = {tmp_path / "found.part"} if form == "jsonl" else set()
    assert set(tmp_path.iterdir()) == {path} | left
    write_results(results()[1:], path, form)
    assert set(tmp_path.iterdir()) == {path}
    if form == "jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == results()
