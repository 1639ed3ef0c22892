"""The output formats of detection: JSON lines, COCO's results file, CSV, and Label Studio's."""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import StringIO
from json import dumps
from pathlib import Path
from typing import Any, Literal

import numpy as np

from digits_jax.detect.detections import Detections
from digits_jax.detect.label_studio import LabelStudioOptions, to_label_studio
from digits_jax.detect.reading_order import read_lines
from digits_jax.images.folders import Page
from digits_jax.images.read import ImageError

Format = Literal["jsonl", "coco", "csv", "label-studio"]
Result = dict[str, Any]  # the JSON object of a page

COLUMNS = ("image", "page", "label", "score", "x0", "y0", "x1", "y1")


def page_result(
    page: Page, shape: tuple[int, int], detections: Detections, *, read: bool
) -> Result:
    """Returns the JSON object of a page: its detections and, if `read`, its lines of digits.

    Args:
      page: the file, and the number of the page in it.
      shape: the page's height and width, px.
      detections: what was detected in it, by descending score.
      read: whether to add `lines`, the digits in reading order.
    """
    height, width = shape
    digits = zip(detections.labels, detections.scores, detections.boxes_xyxy, strict=True)
    rows = [
        {"label": int(label), "score": round_float32(score), "box": box.tolist()}
        for label, score, box in digits
    ]
    lines = {"lines": read_lines(detections.boxes_xyxy, detections.labels)} if read else {}
    return {**_page_keys(page), "width": width, "height": height, "detections": rows, **lines}


def page_error(page: Page, error: ImageError) -> Result:
    """Returns the JSON object of a page that could not be read."""
    return {**_page_keys(page), "error": str(error)}


def _page_keys(page: Page) -> Result:
    number = {} if page.number is None else {"page": page.number}
    return {"image": str(page.image), **number}


def round_float32(value: np.floating[Any]) -> float:
    """Rounds to 6 significant digits, since float32 holds no more than 7."""
    return float(f"{value:.6g}")


def to_jsonl(results: Iterable[Result]) -> Iterator[str]:
    """Yields one line of JSON for each page."""
    return map(dumps, results)


def to_coco(results: Iterable[Result]) -> Iterator[str]:
    """Yields the lines of COCO's results file: one list with an object for each detection.

    `image_id` is the page's index, from 0, among all pages; `category_id` is the digit, and `bbox`
    is `[x, y, width, height]`. `file_name` and `page`, which are not part of COCO's format, name
    the page. Without detections the list is empty, which pycocotools' `loadRes` cannot read.
    """
    yield "["
    comma = ""
    for index, result in enumerate(results):
        for digit in result.get("detections", ()):
            x0, y0, x1, y1 = digit["box"]
            row = {
                "image_id": index,
                "category_id": digit["label"],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "score": digit["score"],
                "file_name": result["image"],
                "page": result.get("page", 0),
            }
            yield comma + dumps(row)
            comma = ","
    yield "]"


def to_csv(results: Iterable[Result]) -> Iterator[str]:
    """Yields the header and a row for each detection; the page is 0 in files of one page."""
    yield _csv_row(COLUMNS)
    for result in results:
        image = printable(result["image"])
        for digit in result.get("detections", ()):
            page = result.get("page", 0)
            yield _csv_row((image, page, digit["label"], digit["score"], *digit["box"]))


def printable(path: str | Path) -> str:
    """Returns a path as text, whose bytes need not be UTF-8 in the file system."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _csv_row(values: Iterable[object]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def formatter(
    format: Format, label_studio: LabelStudioOptions
) -> Callable[[Iterable[Result]], Iterator[str]]:
    """Returns the function that turns results into the lines of a format."""
    formatters: dict[Format, Callable[[Iterable[Result]], Iterator[str]]] = {
        "jsonl": to_jsonl,
        "coco": to_coco,
        "csv": to_csv,
        "label-studio": partial(to_label_studio, options=label_studio),
    }
    return formatters[format]
