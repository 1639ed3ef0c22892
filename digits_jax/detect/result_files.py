"""Writes the results of detection to a file or to standard output, and resumes such a file."""

from collections.abc import Iterable, Iterator
from json import loads
from pathlib import Path
from typing import NamedTuple

from digits_jax.detect.label_studio import PATHS_ALONE, LabelStudioOptions, is_shown_by_browsers
from digits_jax.detect.output_formats import Format, Result, formatter
from digits_jax.images.folders import Page
from digits_jax.runtime.distributed import fail_together, is_main_process, own_number
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file
from digits_jax.runtime.progress import emit, log
from digits_jax.runtime.resumable_output import ResumableLines


def check_output_options(
    output: Path | None, format: Format, *, read: bool, resume: bool, several: bool = False
) -> None:
    """Checks that the options of a command can be combined.

    Args:
      output: the file to write, or None for standard output.
      format: the output format.
      read: whether each result is to hold lines of digits.
      resume: whether an interrupted run is to be continued.
      several: whether this process is one of several that write the file.

    Raises:
      ArgumentError: the format cannot hold lines of digits, be resumed or be written by several
        processes; or there is no file, which these need.
    """
    if format != "jsonl" and (read or resume):
        raise ArgumentError(
            f"expected --format jsonl with --read and --resume; got {format}, which cannot hold "
            "lines of digits and cannot be resumed; leave these options out"
        )
    if resume and not output:
        raise ArgumentError("expected --output with --resume, the file to continue; got none")
    if several and (format != "jsonl" or not output):
        raise ArgumentError(
            "expected --format jsonl and --output FILE in each of several processes; got "
            f"--format {format} and {f'--output {output}' if output else 'no --output'}"
        )


class FinishedPages(NamedTuple):
    """The pages whose results an earlier run has written."""

    pages: frozenset[tuple[str, int | None]] = frozenset()  # image and page number, as in results
    unreadable: frozenset[str] = frozenset()  # images with at least one unreadable page

    def holds(self, page: Page) -> bool:
        """Returns whether the result of a page is written."""
        return (str(page.image), page.number) in self.pages


class FinishedPage(NamedTuple):
    """What one JSON line of a part says, without the detections."""

    offset: int  # of the line in the part, bytes
    image: str
    page: int | None
    is_unreadable: bool


def read_part(part: Path) -> Iterator[FinishedPage]:
    """Yields what each complete JSON line of a part says.

    Raises:
      ArgumentError: a line is not the result of a page.
    """
    with part.open("rb") as lines:
        offset = 0
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return  # `begin_output` removes it
            try:
                result = loads(line)
                yield FinishedPage(offset, result["image"], result.get("page"), "error" in result)
            except (ValueError, KeyError, TypeError) as error:
                raise ArgumentError(
                    f"{part} cannot be continued: expected a JSON object of an image in line "
                    f"{number}, got {line[:60]!r}; remove the file, or name another"
                ) from error
            offset += len(line)


def read_finished_pages(parts: Iterable[Path]) -> FinishedPages:
    """Reads which pages the parts of an earlier run hold.

    Raises:
      ArgumentError: a line is not the result of a page.
    """
    pages, unreadable = set(), set()
    for part in parts:
        for page in read_part(part):
            pages.add((page.image, page.page))
            if page.is_unreadable:
                unreadable.add(page.image)
    return FinishedPages(frozenset(pages), frozenset(unreadable))


def check_output(output: Path | None, format: Format, *, resume: bool) -> FinishedPages:
    """Checks that the output file can be written, and reads what an earlier run has finished.

    Of several processes, all must call it.

    Args:
      output: the file to write, or None for standard output.
      format: the output format; only JSON lines can be resumed.
      resume: whether to continue an interrupted run. If not, its file is not replaced.

    Returns:
      The finished pages: none without `resume`.

    Raises:
      FileExistsError: the file cannot be written, or an interrupted run has left results that
        only `resume` may continue.
      ArgumentError: a line to be continued is not the result of a page.
      ClusterError: one of these has been raised in another process.
    """
    with fail_together():
        if output and format == "jsonl":
            lines = ResumableLines(output)
            if is_main_process():
                lines.check(resume=resume)
            return read_finished_pages(lines.earlier(resume=resume))
        if output:
            check_output_file(output)
        return FinishedPages()


def begin_output(output: Path | None, format: Format, *, resume: bool) -> None:
    """Makes the output file ready to be continued, once nothing else can refuse the run.

    Of several processes, all must call it.

    Args:
      output: as for `check_output`, like all else.
      format: the output format.
      resume: whether to continue an interrupted run.
    """
    with fail_together():
        if output and format == "jsonl" and is_main_process():
            ResumableLines(output).begin(resume=resume)


def write_results(
    results: Iterable[Result],
    output: Path | None,
    format: Format,
    *,
    label_studio: LabelStudioOptions = PATHS_ALONE,
) -> None:
    """Writes results as they come, to a file or to standard output.

    JSON lines can be continued after an interruption (`ResumableLines`); `merge_parts` has to merge
    them where there are several parts. Files of other formats are written completely or not at all.
    A COCO file without detections is logged, and so are pages that Label Studio cannot show.

    Args:
      results: the JSON objects of pages.
      output: the file, or None for standard output.
      format: that of the file.
      label_studio: what Label Studio's tasks say of all pages.
    """
    if format == "coco":
        results = _log_if_empty(results, output)
    if format == "label-studio":
        results = _log_if_not_shown(results)
    lines = formatter(format, label_studio)(results)
    if not output:
        for line in lines:
            emit(line)
    elif format == "jsonl":
        resumable = ResumableLines(output, own_number())
        try:
            resumable.write(lines)
        except KeyboardInterrupt:
            log(f"{resumable.part_path} holds the finished results; continue with --resume")
            raise
    else:
        with atomic_write(output) as path, path.open("w", encoding="utf-8", buffering=1) as file:
            file.writelines(f"{line}\n" for line in lines)


def _log_if_empty(results: Iterable[Result], output: Path | None) -> Iterator[Result]:
    """Yields the results; logs at their end if they hold no detections."""
    empty = True
    for result in results:
        empty = empty and not result.get("detections")
        yield result
    if empty:
        log(
            f"digits-jax: {output or 'the output'} holds no detections; pycocotools' loadRes "
            "cannot read an empty list"
        )


def _log_if_not_shown(results: Iterable[Result]) -> Iterator[Result]:
    """Yields the results; logs at their end how many are of files that browsers do not show."""
    hidden = list[str]()
    for result in results:
        if "error" not in result and not is_shown_by_browsers(result):
            hidden.append(result["image"])
        yield result
    if hidden:
        log(
            f"digits-jax: Label Studio does not show {len(hidden)} of the pages, the first of them "
            f"in {hidden[0]}: browsers show files of one page, in PNG, JPEG, WebP, AVIF, GIF or "
            "BMP; convert the others before the search"
        )
