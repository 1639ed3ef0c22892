"""The command `digits-jax detect`."""

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import tyro

from digits_jax.cli.arguments import PRETRAINED, WeightsArgument, load_model
from digits_jax.detect.annotated_paths import AnnotatedPaths
from digits_jax.detect.config import DEFAULT_CONFIG, MIN_SIZE_LIMIT, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import Ink, Picture, default_min_score, detect_readable, read_pages
from digits_jax.detect.output_formats import Format, Result, page_error, page_result
from digits_jax.detect.result_files import check_output_options, prepare_output, write_results
from digits_jax.detect.visualize import draw_detections
from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.files import atomic_write
from digits_jax.runtime.progress import log, progress

MAX_SIZE_LIMIT = 10_000  # px; an image is padded by about this much on each side

SearchedPage = tuple[tuple[Page, Picture | None], tuple[Ink, Detections] | ImageError]


def detect(
    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    more: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[PATH …]", help_behavior_hint=""),
    ] = (),
    /,
    *,
    weights: WeightsArgument = PRETRAINED,
    min_score: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT",
            help_behavior_hint=f"(default: {DEFAULT_CONFIG.min_score:g} for ink on black and with "
            f"--no-normalise, {DEFAULT_CONFIG.photo_min_score:g} for other pictures)",
        ),
    ] = None,
    min_size: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT", help_behavior_hint=f"(default: {DEFAULT_CONFIG.min_size:g})"
        ),
    ] = None,
    max_size: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT", help_behavior_hint="(default: any size)"
        ),
    ] = None,
    normalise: bool = True,
    read: bool = False,
    format: Format = "jsonl",
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: standard output)"),
    ] = None,
    resume: bool = False,
    annotate: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: no pictures)")
    ] = None,
) -> None:
    """Find all digits in images, and print the detections of each page as soon as it is searched.

    A page is an image file, or one page of a multi-page TIFF file. Its JSON line holds "image",
    "page" (from 0, only for multi-page files), "width", "height" and "detections", a list of
    {"label", "score", "box"} by descending score. A box is [x0, y0, x1, y1] in pixels; x1 and y1
    are exclusive. A page that cannot be read has a line with "image", "page" and "error" instead.
    The other pages are still searched, and the exit status is then 1.

    There are limits. Digits smaller than --min-size or larger than --max-size are not searched for.
    Only the 256 likeliest candidates of a page are examined; a line on standard error names a page
    with more. Only the first frame of an animation is searched.

    Args:
        path: An image file, or a folder. A folder is searched for images, with its subfolders.
            Hidden files and links to folders are left out.
        more: More files and folders.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        min_score: Lowest score of a detection, 0 to 1. Below 0.3, detections that overlap a better
            one are printed too.
        min_size: Size of the smallest digits to search for, in pixels, at least 4. A digit's size
            is 1.4 times its height, because MNIST's images of 28 px hold digits of 20 px. Smaller
            digits are not searched for.
        max_size: Size of the largest digits to search for, in pixels, at most 10,000. Larger digits
            are not searched for. With both sizes 28, the image is searched at one scale, as in the
            paper.
        normalise: Accept ink of any colour on paper of any colour, in uneven light. With
            --no-normalise the ink has to be bright on a black background.
        read: Add "lines" to each JSON object: one string a line of text, with its digits from left
            to right. Lines may slope by up to 20 degrees.
        format: Output format. `jsonl` has one JSON object a page, `coco` is one COCO results file,
            and `csv` has one row a detection. A COCO file without detections is an empty list,
            which pycocotools' loadRes cannot read; a line on standard error says so.
        output: File to write. JSON lines are written to FILE.part, which is renamed to FILE after
            the last page; an interrupted run leaves FILE.part.
        resume: Continue FILE.part of an interrupted run, or add new images to FILE. Give the other
            arguments as in the first run.
        annotate: Folder for a PNG picture of each page with boxes, labels and scores.
    """
    check_output_options(output, format, read=read, resume=resume)
    _check_ranges(min_score, min_size, max_size)
    params, config = load_model(weights)
    config = _override(config, min_score=min_score, min_size=min_size, max_size=max_size)
    images = list_images([path, *more], exclude=annotate)
    finished = prepare_output(output, format, resume=resume)
    annotated_paths = AnnotatedPaths(images, annotate) if annotate else None

    remaining = [image for image in images if not finished.holds(Page(image))]
    if resume and len(remaining) < len(images):
        log(f"{len(images) - len(remaining)} of {len(images)} images are finished; continuing")
    pages = (page for page in list_pages(remaining) if not finished.holds(page))
    detector = Detector(params, config, log=log)
    searched = detect_readable(detector.detect_each, read_pages(pages, normalised=normalise))
    unreadable = {str(image) for image in images} & finished.unreadable

    def results() -> Iterator[Result]:
        for (page, picture), outcome in _with_progress(searched, len(remaining)):
            if isinstance(outcome, ImageError):
                log(f"digits-jax: {outcome}")
                unreadable.add(str(page.image))
                yield page_error(page, outcome)
                continue
            ink, detections = outcome
            assert picture is not None  # a page that could be read has one
            if min_score is None:
                threshold = default_min_score(picture, normalised=normalise, config=config)
                detections = detections.from_score(threshold)
            if detections.truncated:
                _warn_of_truncation(page, config.max_detections)
            if annotated_paths:
                _annotate(annotated_paths.path(page.image, page.number), picture, detections)
            yield page_result(page, ink, detections, read=read)

    write_results(results(), output, format)
    if unreadable:
        if len(images) > 1:
            log(f"digits-jax: {len(unreadable)} of {len(images)} images could not be read")
        sys.exit(1)


def _check_ranges(min_score: float | None, min_size: float | None, max_size: float | None) -> None:
    """Checks the search options before any work, by the names of the command line.

    Raises:
      ArgumentError: an option is outside its range.
    """
    if min_score is not None:
        check_range("--min-score", min_score, 0, 1)
    for name, size in (("--min-size", min_size), ("--max-size", max_size)):
        if size is not None:
            check_range(name, size, MIN_SIZE_LIMIT, MAX_SIZE_LIMIT, unit="px")


def _override(config: DetectorConfig, **options: float | None) -> DetectorConfig:
    """Returns the config with the options that were given.

    Raises:
      ArgumentError: min_size is larger than max_size.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return dataclasses.replace(config, **given)


def _with_progress(searched: Iterable[SearchedPage], images: int) -> Iterator[SearchedPage]:
    """Yields the searched pages, and shows how many of the images are done."""
    by_image = groupby(searched, key=lambda searched_page: searched_page[0][0].image)
    for _, pages in progress(by_image, "image", images):
        yield from pages


def _warn_of_truncation(page: Page, max_detections: int) -> None:
    log(
        f"digits-jax: {page.image} may show more digits than the {max_detections} candidates that "
        "are examined; cut it into smaller images"
    )


def _annotate(path: Path, picture: Picture, detections: Detections) -> None:
    with atomic_write(path) as temporary:
        draw_detections(picture, detections).save(temporary)
