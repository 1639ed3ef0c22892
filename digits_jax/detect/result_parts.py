"""Detection by several processes: each one's share of the images, and the merge of their parts."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int64

from digits_jax.detect.result_files import FinishedPages, read_part
from digits_jax.images.folders import Page, list_pages
from digits_jax.runtime.distributed import (
    ProcessLost,
    check_same_in_all_processes,
    is_main_process,
)
from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.files import atomic_write
from digits_jax.runtime.live_processes import meet_live_processes
from digits_jax.runtime.progress import log
from digits_jax.runtime.resumable_output import ResumableLines

NO_PAGE = -1  # in the index, the page of a file that has only one


class PartsError(DigitsJaxError):
    """The parts of a result file do not hold every page exactly once."""


def share_of_process(images: Sequence[Path], finished: FinishedPages) -> list[Path]:
    """Returns the images that this process has to search, which are all if it is alone.

    Process k of N takes every N-th of the images that are not finished, from the k-th on. An image
    of several pages counts as not finished. All processes must call this; process 0 logs how many
    images are finished and how many are shared out.

    Args:
      images: all images, in order.
      finished: the pages that earlier runs have finished.

    Raises:
      ClusterError: the processes do not see the same images or the same finished pages.
    """
    check_same_in_all_processes(
        _hash(map(str, images)),
        "the same images in all processes, in folders that all see by the same paths (the numbers "
        "are hashes of the lists of paths)",
    )
    check_same_in_all_processes(
        _hash(sorted(map(repr, finished.pages))),
        "the same finished pages in all processes, in a folder of --output that all see (the "
        "numbers are hashes of the lists of pages)",
    )
    remaining = [image for image in images if not finished.holds(Page(image))]
    share = remaining[jax.process_index() :: jax.process_count()]
    if is_main_process() and len(remaining) < len(images):
        log(f"{len(images) - len(remaining)} of {len(images)} images are finished; continuing")
    if is_main_process() and jax.process_count() > 1:
        log(
            f"{jax.process_count()} processes share {len(remaining)} images; the progress is that "
            f"of the {len(share)} of process 0"
        )
    return share


def merge_parts(output: Path, images: Sequence[Path]) -> frozenset[str]:
    """Merges the parts of all processes into the file of results, if there are any.

    All processes must call this at the end of their shares. Process 0 waits for those that are not
    lost, and merges; the others wait for it.

    Args:
      output: the file of results.
      images: all images, in order.

    Returns:
      The images that could not be read, if this process has merged.

    Raises:
      ProcessLost: in process 0, another process was lost; the parts are kept.
      PartsError: a page is missing, or there more than once; the parts are kept.
    """
    with meet_live_processes() as lost:
        if not is_main_process():
            return frozenset()
        if lost:
            numbers = " and ".join(f"process {number}" for number in lost)
            raise ProcessLost(
                f"{numbers} of {jax.process_count()} did not come to the end; the others have "
                f"finished their shares. {output} is not written yet: the same command with "
                "--resume continues, with any number of processes"
            )
        lines = ResumableLines(output)
        return _merge(lines.parts, lines.path, images) if lines.parts else frozenset()


class _Index(NamedTuple):
    """Where the result of each page is, ordered as the merged file is to be."""

    names: list[str]  # of the images, which the rows number
    rows: Int64[np.ndarray, "n 4"]  # image; page, or NO_PAGE; part; offset of the line, bytes
    unreadable: frozenset[str]


def _merge(parts: Sequence[Path], path: Path, images: Sequence[Path]) -> frozenset[str]:
    """Writes the lines of the parts to one file, and removes the parts.

    The lines are ordered as the images and by page. Lines of other images, which an earlier run was
    given, come first, as in a file to which one process adds. One line at a time is in memory.

    Returns:
      The images that could not be read.
    """
    index = _read_index(parts, images)
    _check_each_page_is_there_once(index, parts, path, images)
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_write(path))
        merged = stack.enter_context(temporary.open("wb"))
        files = [stack.enter_context(part.open("rb")) for part in parts]
        for part, offset in index.rows[:, 2:]:
            files[part].seek(offset)
            merged.write(files[part].readline())
    # FILE.part last: it may hold results of other images, which a further run keeps.
    for part in reversed(parts):
        part.unlink()
    return index.unreadable & {str(image) for image in images}


def _read_index(parts: Sequence[Path], images: Sequence[Path]) -> _Index:
    numbers: dict[str, int] = {}  # of the images, by first appearance
    flat = array("q")
    unreadable = set()
    for number, part in enumerate(parts):
        for line in read_part(part):
            image = numbers.setdefault(line.image, len(numbers))
            flat.extend((image, NO_PAGE if line.page is None else line.page, number, line.offset))
            if line.is_unreadable:
                unreadable.add(line.image)
    rows = np.array(flat, np.int64).reshape(-1, 4)
    given = {str(image): place for place, image in enumerate(images)}
    places = [given.get(name, number - len(numbers)) for name, number in numbers.items()]
    order = np.lexsort((rows[:, 1], np.array(places, np.int64)[rows[:, 0]]))
    return _Index(list(numbers), rows[order], frozenset(unreadable))


def _check_each_page_is_there_once(
    index: _Index, parts: Sequence[Path], path: Path, images: Sequence[Path]
) -> None:
    """Checks that an index holds every page of every image, and none twice.

    Only files with several results are opened, to count their pages.

    Raises:
      PartsError: it does not.
    """
    rows = index.rows
    is_double = (rows[1:, :2] == rows[:-1, :2]).all(axis=1)
    if is_double.any():
        first = int(is_double.argmax())
        image, page = rows[first, :2].tolist()
        holders = sorted({parts[part].name for part in rows[first : first + 2, 2].tolist()})
        raise PartsError(
            f"{path} is not written: expected the result of each page once; "
            f"{np.count_nonzero(is_double)} are there again, the first of them "
            f"{_name(index.names[image], page)} in {' and '.join(holders)}. Remove one of these "
            "parts, and give the same command with --resume: what it held is searched again"
        )
    missing = list(_missing_pages(index, images))
    if missing:
        raise PartsError(
            f"{path} is not written: expected the results of all pages; {len(missing)} are "
            f"missing, the first of them {missing[0]}. If all processes see one folder of "
            "--output, the same command with --resume searches what is missing"
        )


def _missing_pages(index: _Index, images: Sequence[Path]) -> Iterator[str]:
    """Yields the names of the images and of the pages that an index lacks."""
    given, found = {str(image) for image in images}, set(index.names)
    yield from (name for name in map(str, images) if name not in found)
    numbers, starts, counts = np.unique(index.rows[:, 0], return_index=True, return_counts=True)
    for number, start, count in zip(numbers, starts, counts, strict=True):
        name, pages = index.names[number], index.rows[start : start + count, 1]
        if name in given and pages[-1] != NO_PAGE:  # sorted: a page of several
            expected = (page.number for page in list_pages([Path(name)]))
            yield from (_name(name, page) for page in expected if (page or 0) not in pages)


def _name(image: str, page: int | None) -> str:
    return image if page in (None, NO_PAGE) else f"page {page} of {image}"


def _hash(texts: Iterable[str]) -> int:
    """Returns a hash that fits the 32 bits to which JAX cuts integers between processes."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text}\n".encode(errors="surrogateescape"))
    return int.from_bytes(digest.digest()[:4]) >> 1
