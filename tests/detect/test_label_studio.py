"""Label Studio's tasks: percentages worked out by hand, addresses, and what cannot be shown."""

import json
from pathlib import Path

import pytest
from page_results import PIXELS, digits, results

from digits_jax.detect.label_studio import (
    LabelStudioOptions,
    is_shown_by_browsers,
    to_label_studio,
)
from digits_jax.detect.output_formats import page_result
from digits_jax.detect.result_files import write_results
from digits_jax.images.folders import Page


def region(number: int, label: str, score: float, **value: float) -> dict[str, object]:
    """Returns a region of a page of 50 × 40 px."""
    return {
        "id": f"digit-{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": 50,
        "original_height": 40,
        "image_rotation": 0,
        "score": score,
        "value": {**value, "rotation": 0, "rectanglelabels": [label]},
    }


def image_of(path: str, prefix: str | None) -> object:
    """Returns the address of an image in a task."""
    one = page_result(Page(Path(path)), PIXELS.shape, digits([[1, 2, 3, 4]], [0], [1]), read=False)
    (task,) = json.loads("".join(to_label_studio([one], LabelStudioOptions(prefix))))
    return task["data"]["image"]


def test_each_page_that_was_read_is_a_task_with_boxes_in_percent() -> None:
    tasks = json.loads("\n".join(to_label_studio(results(), LabelStudioOptions(None, "mine"))))
    assert tasks == [
        {
            "data": {"image": "a.png"},
            "predictions": [
                {
                    "model_version": "mine",
                    "score": 0.5,  # the mean of 0.9 and 0.1
                    "result": [
                        region(0, "7", 0.9, x=4, y=10, width=20, height=50),
                        region(1, "1", 0.1, x=40, y=12.5, width=12, height=50),
                    ],
                }
            ],
        },
        {
            "data": {"image": "c.tif", "page": 0},
            "predictions": [{"model_version": "mine", "result": []}],
        },
        {
            "data": {"image": "c.tif", "page": 1},
            "predictions": [
                {
                    "model_version": "mine",
                    "score": 0.75,
                    "result": [region(0, "0", 0.75, x=2, y=5, width=4, height=5)],
                }
            ],
        },
    ]
    assert json.loads("".join(to_label_studio([]))) == []


def test_a_box_of_the_whole_page_is_a_hundred_percent() -> None:
    whole = digits([[0, 0, 333, 777]], [3], [1])
    result = page_result(Page(Path("a.png")), (777, 333), whole, read=False)
    (task,) = json.loads("".join(to_label_studio([result])))
    value = task["predictions"][0]["result"][0]["value"]
    assert [value[name] for name in ("x", "y", "width", "height")] == [0, 0, 100, 100]


@pytest.mark.parametrize(
    ("path", "prefix", "address"),
    [
        ("scans/a b.png", None, "scans/a b.png"),
        ("scans/a b.png", "http://host/", "http://host/scans/a%20b.png"),
        ("/scans/a&b#1+2.png", "/data/local-files/?d=", None),
        ("./a%.png", "https://host/x/", "https://host/x/a%25.png"),
        ("scans/a b.png", "s3://bucket/", "s3://bucket/scans/a b.png"),
        ("a\udcff.png", "http://host/", "http://host/a%FF.png"),  # a name that is not UTF-8
    ],
)
def test_the_address_is_the_prefix_and_the_path(
    path: str, prefix: str | None, address: str | None
) -> None:
    """Characters that mean something in an address are escaped, except in keys of a storage."""
    address = address or "/data/local-files/?d=scans/a%26b%231%2B2.png"
    assert image_of(path, prefix) == address


def test_the_file_is_whole_and_pages_that_browsers_do_not_show_are_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = LabelStudioOptions("http://host/", "mine")
    write_results(results(), tmp_path / "tasks.json", "label-studio", label_studio=options)
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [
        "http://host/a.png",
        "http://host/c.tif",
        "http://host/c.tif",
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: Label Studio does not show 2 of the pages, the first of")
    write_results(results()[:2], tmp_path / "tasks.json", "label-studio")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ({"image": "a.JPG"}, True),
        ({"image": "a.gif", "page": 0}, False),
        ({"image": "a.heic"}, False),
        ({"image": "a.pdf"}, False),
    ],
)
def test_which_pages_browsers_show(page: dict[str, object], shown: bool) -> None:
    assert is_shown_by_browsers(page) == shown
