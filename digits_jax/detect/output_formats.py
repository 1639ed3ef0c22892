"""What was found in images as lines of text: JSON objects, COCO's results, CSV."""

import csv
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from json import dumps, loads
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from digits_jax.detect.detector import Detections
from digits_jax.detect.reading_order import read_lines
from digits_jax.images.folders import Page
from digits_jax.images.read import ImageError
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file, growing, part_of, prepare_part
from digits_jax.runtime.progress import emit, log

Format = Literal["jsonl", "coco", "csv"]
Result = dict[str, Any]  # of a page, as JSON has it

COLUMNS = ("image", "page", "label", "score", "x0", "y0", "x1", "y1")


def page_result(
    page: Page, pixels: UInt8[np.ndarray, "h w"], found: Detections, *, read: bool
) -> Result:
    """What was found in a page: its detections, by descending score, and if asked for its lines."""
    height, width = pixels.shape
    digits = zip(found.labels, found.scores, found.boxes_xyxy, strict=True)
    listed = [
        {"label": int(label), "score": short(score), "box": box.tolist()}
        for label, score, box in digits
    ]
    lines = {"lines": read_lines(found.boxes_xyxy, found.labels)} if read else {}
    return {**_named(page), "width": width, "height": height, "detections": listed, **lines}


def page_error(page: Page, error: ImageError) -> Result:
    """Why there is nothing of a page."""
    return {**_named(page), "error": str(error)}


def _named(page: Page) -> Result:
    number = {} if page.number is None else {"page": page.number}
    return {"image": str(page.image), **number}


def short(value: np.floating[Any]) -> float:
    """Without the digits that float32 does not have."""
    return float(f"{value:.6g}")


def to_jsonl(results: Iterable[Result]) -> Iterator[str]:
    """One object a line for each page."""
    return map(dumps, results)


def to_coco(results: Iterable[Result]) -> Iterator[str]:
    """COCO's results, one list: a page's `image_id` is its place, from 0, among all pages.

    The digit is the `category_id`, the box `[x, y, width, height]`. `file_name` and `page`, which
    are not COCO's, say which page it was.
    """
    yield "["
    comma = ""
    for place, result in enumerate(results):
        for digit in result.get("detections", ()):
            x0, y0, x1, y1 = digit["box"]
            row = {
                "image_id": place,
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
    """CSV, one row a detection; the page is 0 where there is but one."""
    yield _row(COLUMNS)
    for result in results:
        # A name's bytes need not be text.
        image = result["image"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for digit in result.get("detections", ()):
            page = result.get("page", 0)
            yield _row((image, page, digit["label"], digit["score"], *digit["box"]))


def _row(values: Iterable[object]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


LINES: dict[Format, Callable[[Iterable[Result]], Iterator[str]]] = {
    "jsonl": to_jsonl,
    "coco": to_coco,
    "csv": to_csv,
}


def check_output_options(output: Path | None, format: Format, *, read: bool, resume: bool) -> None:
    """Refuses what does not go together.

    Raises:
      ValueError: this format has no lines or cannot be gone on with, or there is no file to.
    """
    if format != "jsonl" and (read or resume):
        raise ArgumentError(
            f"expected --format jsonl with --read and --resume; got {format}, which has no place "
            "for lines and cannot be gone on with"
        )
    if resume and not output:
        raise ArgumentError("expected --output with --resume, the file to go on with; got none")


class FinishedPages(NamedTuple):
    """What lines of JSON hold already."""

    pages: frozenset[tuple[str, int | None]] = frozenset()  # images and pages, as results name them
    unreadable: frozenset[str] = frozenset()  # images of which there is an error

    def holds(self, page: Page) -> bool:
        """Whether nothing is left to do of a page."""
        return (str(page.image), page.number) in self.pages


def read_finished_pages(path: Path) -> FinishedPages:
    """Reads which pages a file of JSON lines has, line by line.

    Raises:
      ValueError: a line is not of a page.
    """
    pages, unreadable = set(), set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                result = loads(line)
                pages.add((result["image"], result.get("page")))
                if "error" in result:
                    unreadable.add(result["image"])
            except (ValueError, KeyError, TypeError) as error:
                raise ArgumentError(
                    f"{path} cannot be gone on with: expected a JSON object of an image in line "
                    f"{number}, got {line[:60]!r}; remove the file, or name another"
                ) from error
    return FinishedPages(frozenset(pages), frozenset(unreadable))


def prepare_output(output: Path | None, format: Format, *, resume: bool) -> FinishedPages:
    """Makes sure that the file can be written; what an earlier run has finished of it."""
    if output:
        check_output_file(output)
        if format == "jsonl":
            part = prepare_part(output, resume=resume)
            return read_finished_pages(part) if part.exists() else FinishedPages()
    return FinishedPages()


def write_results(results: Iterable[Result], output: Path | None, format: Format) -> None:
    """Writes results as they come, to a file or to standard output.

    JSON lines grow in a part that stays if it is interrupted; others are written whole or not at
    all.
    """
    lines = LINES[format](results)
    if not output:
        for line in lines:
            emit(line)
        return
    resumable = format == "jsonl"
    try:
        with (
            growing(output) if resumable else atomic_write(output) as path,
            path.open("a", encoding="utf-8", buffering=1) as file,  # lines leave at once
        ):
            file.writelines(f"{line}\n" for line in lines)
    except KeyboardInterrupt:
        if resumable:
            log(f"{part_of(output)} holds what is finished; --resume goes on with it")
        raise
