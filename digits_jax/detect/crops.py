"""The digits of pages as pictures in folders 0 to 9, for a person to correct and to train on.

A picture's name is made of its page's path alone, so that each run gives it the same name. A
manifest, crops.csv, says which page, place and score each picture has. The rows of a page are
written before its pictures, and these before its result: of an interrupted run, the last page alone
may have rows without a result. The next run removes what they name, and searches the page again.
"""

import csv
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import NamedTuple, TextIO

from PIL import Image

from digits_jax.detect.detections import Detections
from digits_jax.detect.output_formats import printable, round_float32
from digits_jax.detect.result_files import FinishedPages
from digits_jax.images.folders import Page
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_folder, make_output_folder

MANIFEST = "crops.csv"
COLUMNS = ("file", "image", "page", "label", "score", "x0", "y0", "x1", "y1")
MAX_STEM = 40  # characters; a file's name has 255 bytes at most
HASH_DIGITS = 12  # 48 bits tell millions of pages of one name apart
NAME = re.compile(r"(?P<label>\d)/(?P<page>[^/]+)-\d+\.png")


class CropFolder:
    """Writes the digits of pages into a folder, and rows about them into its manifest."""

    def __init__(self, folder: Path, manifest: TextIO):
        """Keeps the folder, and its manifest that is open for more rows."""
        self._folder, self._manifest = folder, manifest

    def write(self, page: Page, detections: Detections) -> None:
        """Writes a picture of each digit, 28×28 px, ink bright on black.

        Args:
          page: the page.
          detections: what was found in it, with `crops`.
        """
        assert detections.crops is not None  # the method was checked
        name, image = page_name(page), printable(page.image)
        labels, boxes = detections.labels.tolist(), detections.boxes_xyxy.tolist()
        files = [f"{label}/{name}-{n}.png" for n, label in enumerate(labels)]
        for file, label, score, box in zip(files, labels, detections.scores, boxes, strict=True):
            row = file, image, page.number or 0, label, round_float32(score), *box
            self._manifest.write(_row(*row))
        self._manifest.flush()
        for file, crop in zip(files, detections.crops, strict=True):
            path = self._folder / file
            path.parent.mkdir(exist_ok=True)
            with atomic_write(path) as temporary:
                Image.fromarray(crop).save(temporary)


class ContinuedCrops(NamedTuple):
    """What an earlier run has left in a folder of digits."""

    rows: list[list[str]]  # of its manifest, of the finished pages
    unfinished: list[str]  # pictures of a page that is searched again


def check_crop_folder(folder: Path, finished: FinishedPages, *, resume: bool) -> ContinuedCrops:
    """Checks that a folder can be written or continued; it changes nothing.

    Args:
      folder: the folder. Without `resume` it is new or empty.
      finished: the pages whose results an earlier run has written.
      resume: whether to continue that run.

    Raises:
      FileExistsError: the folder is a file, or holds something that would be mixed with the digits.
      ArgumentError: the folder is not that of the earlier run.
    """
    check_output_folder(folder)
    manifests = (folder / f"{MANIFEST}.part", folder / MANIFEST)
    written = next((path for path in manifests if path.exists()), None)
    if written is None and finished.pages:
        raise ArgumentError(
            f"{folder} cannot be continued: expected {MANIFEST} of the run whose results are "
            f"continued; that run wrote no digits there (pages in its results: "
            f"{len(finished.pages):,}). Search all pages again with another --output, or leave "
            "--crops out"
        )
    if folder.exists() and any(folder.iterdir()) and not (resume and written):
        raise FileExistsError(
            f"{folder} is not empty: expected a new or empty folder, so that no digits are mixed; "
            "name another, or continue the run that wrote there with --resume"
        )
    return _read_manifest(folder, written, finished) if written else ContinuedCrops([], [])


@contextmanager
def open_crop_folder(
    folder: Path, finished: FinishedPages, *, resume: bool
) -> Iterator[CropFolder]:
    """Yields a folder for the digits of pages; its manifest is complete when the block ends.

    Until then the manifest is crops.csv.part, which an interrupted run leaves.

    Args:
      folder: as for `check_crop_folder`, like all else.
      finished: the pages whose results an earlier run has written.
      resume: whether to continue that run.

    Raises:
      FileExistsError: as `check_crop_folder`.
      ArgumentError: as `check_crop_folder`.
    """
    continued = check_crop_folder(folder, finished, resume=resume)
    make_output_folder(folder)
    manifest, part = folder / MANIFEST, folder / f"{MANIFEST}.part"
    for file in continued.unfinished:
        (folder / file).unlink(missing_ok=True)
    with atomic_write(part) as temporary, temporary.open("w", encoding="utf-8") as text:
        text.writelines(_row(*row) for row in [COLUMNS, *continued.rows])
    with part.open("a", encoding="utf-8") as text:
        yield CropFolder(folder, text)
    os.replace(part, manifest)


def page_name(page: Page) -> str:
    """Returns how the names of a page's digits begin: its file's name, a hash, and its number.

    The hash of the path tells files of one name in several folders apart, on all file systems.
    """
    stem = re.sub(r"[^\w.-]", "_", printable(page.image.stem))[:MAX_STEM]
    path_hash = hashlib.sha256(os.fsencode(page.image)).hexdigest()[:HASH_DIGITS]
    number = "" if page.number is None else f"-page{page.number}"
    return f"{stem}-{path_hash}{number}"


def _read_manifest(folder: Path, manifest: Path, finished: FinishedPages) -> ContinuedCrops:
    """Returns the rows of the pages that are finished, and the digits of another one.

    Raises:
      ArgumentError: several pages of the manifest are not finished, so that the results are those
        of another run; or it is no manifest.
    """
    text = manifest.read_text(encoding="utf-8")
    header, *rows = csv.reader(StringIO(text[: text.rfind("\n") + 1]))
    names = {page_name(Page(Path(image), number)) for image, number in finished.pages}
    kept, others = list[list[str]](), dict[str, list[str]]()
    for row in rows:
        name = NAME.fullmatch(row[0]) if row else None
        if name and name["page"] in names and len(row) == len(COLUMNS):
            kept.append(row)
        elif name:
            others.setdefault(name["page"], []).append(row[0])
    if tuple(header) != COLUMNS or len(others) > 1:
        raise ArgumentError(
            f"{folder} cannot be continued: expected {manifest.name} of the run whose results are "
            f"continued; {len(others)} of its pages are not among them; name another folder, or "
            "the --output of that run"
        )
    return ContinuedCrops(kept, [file for files in others.values() for file in files])


def _row(*values: object) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
