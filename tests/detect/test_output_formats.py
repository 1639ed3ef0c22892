"""The output formats, checked against the libraries that read them."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from page_results import PIXELS, digits, results
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits_jax.detect.output_formats import page_result, to_coco, to_csv, to_jsonl
from digits_jax.images.folders import Page


def test_jsonl_holds_one_object_for_each_page() -> None:
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


def test_a_page_result_holds_lines_of_digits_if_read() -> None:
    three = digits([[20, 5, 26, 25], [2, 4, 12, 24], [3, 60, 9, 80]], [1, 7, 2], 3 * [0.9])
    result = page_result(Page(Path("a.png")), PIXELS.shape, three, read=True)
    assert result["lines"] == ["71", "2"]
    none = digits(np.zeros((0, 4)), [], [])
    assert page_result(Page(Path("a.png")), PIXELS.shape, none, read=True)["lines"] == []


def test_pycocotools_reads_and_scores_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    """Every digit of the truth is detected, one of them with another class."""
    rows = json.loads("\n".join(to_coco(results())))
    assert [(row["image_id"], row["file_name"], row["page"]) for row in rows] == [
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
    scores = COCOeval(truth, truth.loadRes(rows), "bbox")
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    precision = scores.eval["precision"][0, :, :, 0, 2].mean(axis=0)  # at IoU 0.5, of each class
    assert [precision[label] for label in (7, 0, 2)] == pytest.approx([1, 1, 0])
    capsys.readouterr()


def test_without_pages_coco_is_an_empty_list_and_csv_a_header() -> None:
    assert json.loads("".join(to_coco([]))) == []
    assert list(to_csv([])) == ["image,page,label,score,x0,y0,x1,y1"]


def test_csv_holds_one_row_for_each_detection() -> None:
    name = 'a "b",\nc.png'
    one = digits([[1, 2, 3, 4]], [0], [1 / 3])
    named = page_result(Page(Path(name)), PIXELS.shape, one, read=False)
    rows = list(csv.DictReader(io.StringIO("\n".join(to_csv([*results(), named])))))
    values = [list(row.values()) for row in rows]
    assert values == [
        ["a.png", "0", "7", "0.9", "2", "4", "12", "24"],
        ["a.png", "0", "1", "0.1", "20", "5", "26", "25"],
        ["c.tif", "1", "0", "0.75", "1", "2", "3", "4"],
        [name, "0", "0", "0.333333", "1", "2", "3", "4"],
    ]


def test_pycocotools_cannot_read_an_empty_list() -> None:
    """So `write_results` logs it: no other text means that there are no detections."""
    truth = COCO()
    truth.dataset = {"info": {}, "images": [{"id": 0}], "categories": [], "annotations": []}
    truth.createIndex()
    with pytest.raises(IndexError):
        truth.loadRes(json.loads("".join(to_coco(results()[1:3]))))
