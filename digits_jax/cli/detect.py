"""The command `digits-jax detect`."""

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from jaxtyping import Float

from digits_jax.cli.arguments import (
    PRETRAINED,
    MaxFileMibArgument,
    MaxMegapixelsArgument,
    Processes,
    ProcessesArgument,
    WeightsArgument,
    load_model,
    set_read_limits,
)
from digits_jax.detect.annotated_paths import AnnotatedPaths
from digits_jax.detect.config import DEFAULT_CONFIG, MIN_SIZE_LIMIT, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import (
    Ink,
    LargeInk,
    Picture,
    default_min_score,
    detect_large,
    detect_readable,
    read_pages,
)
from digits_jax.detect.output_formats import (
    Format,
    Result,
    page_error,
    page_result,
    round_float32,
)
from digits_jax.detect.padding import bucket_shape
from digits_jax.detect.peaks import default_max_detections
from digits_jax.detect.result_files import check_output_options, prepare_output, write_results
from digits_jax.detect.result_parts import merge_parts, share_of_process
from digits_jax.detect.visualize import draw_detections
from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.distributed import (
    detect_lost_processes,
    fail_together,
    is_main_process,
)
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write
from digits_jax.runtime.progress import log, progress

# px; the search of all windows pads an image by about this much on each side.
MAX_SIZE_LIMIT = 10_000

SearchedPage = tuple[tuple[Page, Picture | None], tuple[Ink | LargeInk, Detections] | ImageError]


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
        tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: any size)"),
    ] = None,
    method: Annotated[
        Literal["components", "windows"] | None,
        tyro.conf.arg(
            metavar="{components,windows}",
            help_behavior_hint=f"(default: {DEFAULT_CONFIG.method})",
        ),
    ] = None,
    normalise: bool = True,
    max_megapixels: MaxMegapixelsArgument = None,
    max_file_mib: MaxFileMibArgument = None,
    read: bool = False,
    probabilities: bool = False,
    format: Format = "jsonl",
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: standard output)"),
    ] = None,
    resume: bool = False,
    annotate: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: no pictures)")
    ] = None,
    processes: ProcessesArgument = Processes(),  # noqa: B008
) -> None:
    """Find all digits in images, and print the detections of each page as soon as it is searched.

    A page is an image file, or one page of a multi-page TIFF file. Its JSON line holds "image",
    "page" (from 0, only for multi-page files), "width", "height" and "detections", a list of
    {"label", "score", "box"} by descending score. A box is [x0, y0, x1, y1] in pixels; x1 and y1
    are exclusive. A page that cannot be read has a line with "image", "page" and "error" instead.
    The other pages are still searched, and the exit status is then 1.

    Digits of any size from --min-size up are found, and any number of them. Only the first frame of
    an animation is searched.

    TIFF files of any size, .npy files and zarr arrays are read in strips of rows, so that the
    memory does not grow with their height; the extra [large] reads them. Name .npy files and zarr
    arrays themselves, since folders are not searched for them.

    Args:
        path: An image file, or a folder. A folder is searched for images, with its subfolders.
            Hidden files and links to folders are left out.
        more: More files and folders.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        min_score: Lowest score of a detection, 0 to 1. On scenes of digits the score is the share
            of such detections that are right; in pictures of other things fewer are.
        min_size: Size of the smallest digits to search for, in pixels, at least 4. A digit's size
            is 1.4 times its height, because MNIST's images of 28 px hold digits of 20 px.
        max_size: Size of the largest digits to search for, in pixels, at most 10,000.
        method: How to search. `components` reads each component of ink by itself, and searches
            windows only where components touch or are no digit. `windows` searches every window at
            all scales, which takes ten to forty times as long; with both sizes 28 it is the paper's
            search at one scale. It examines the 256 likeliest candidates of each 131,072 pixels; a
            line on standard error names a page with more.
        normalise: Accept ink of any colour on paper of any colour, in uneven light. With
            --no-normalise the ink has to be bright on a black background.
        max_megapixels: Largest picture that is read whole, in millions of pixels. It guards against
            files that unpack into more than the memory holds. Larger TIFF files are read in
            strips.
        max_file_mib: Largest file of a picture that is read whole, in MiB.
        read: Add "lines" to each JSON object: one string a line of text, with its digits from left
            to right. Lines may slope by up to 20 degrees.
        probabilities: Add "probabilities" to each detection in JSON lines: those of the digits 0 to
            9. The search of all windows does not have them.
        format: Output format. `jsonl` has one JSON object a page, `coco` is one COCO results file,
            and `csv` has one row a detection. A COCO file without detections is an empty list,
            which pycocotools' loadRes cannot read; a line on standard error says so.
        output: File to write. JSON lines are written to FILE.part, which is renamed to FILE after
            the last page; an interrupted run leaves FILE.part. Process K of several writes
            FILE.part-K, and process 0 merges these.
        resume: Continue the parts of an interrupted run, or add new images to FILE, with any number
            of processes. Give the other arguments as in the first run.
        annotate: Folder for a PNG picture of each page with boxes, labels and scores.
        processes: Several processes, which share the images out and write one file of JSON lines.
    """
    set_read_limits(max_megapixels, max_file_mib)
    several = processes.are_several
    check_output_options(output, format, read=read, resume=resume, several=several)
    _check_ranges(min_score, min_size, max_size)
    processes.join(outlive_lost=True)
    params, config = load_model(weights)
    config = _override(
        config, min_score=min_score, min_size=min_size, max_size=max_size, method=method
    )
    if probabilities:
        _check_holds_probabilities(format, config.method)
    with detect_lost_processes():
        with fail_together():
            images = list_images([path, *more], exclude=annotate)
            annotated_paths = AnnotatedPaths(images, annotate) if annotate else None
        finished = prepare_output(output, format, resume=resume)
        remaining = share_of_process(images, finished)

    pages = (page for page in list_pages(remaining) if not finished.holds(page))
    detector = Detector(params, config, log=log)
    in_strips = partial(detect_large, detector, normalised=normalise, show_progress=True)
    pictures = read_pages(pages, normalised=normalise)
    searched = detect_readable(detector.detect_each, pictures, in_strips)
    unreadable = {str(image) for image in images} & finished.unreadable

    def results() -> Iterator[Result]:
        for (page, picture), outcome in _with_progress(searched, len(remaining)):
            if isinstance(outcome, ImageError):
                log(f"digits-jax: {outcome}")
                unreadable.add(str(page.image))
                yield page_error(page, outcome)
                continue
            ink, detections = outcome
            if min_score is None:
                shown = ink if picture is None else picture
                threshold = default_min_score(shown, normalised=normalise, config=config)
                detections = detections.from_score(threshold)
            if detections.truncated:
                _warn_of_truncation(page, ink, config)
            if annotated_paths and picture is None:
                log(f"digits-jax: {page.image} is too large to be drawn with its detections")
            elif annotated_paths and picture is not None:
                _annotate(annotated_paths.path(page.image, page.number), picture, detections)
            result = page_result(page, ink.shape, detections, read=read)
            if probabilities:
                _add_probabilities(result, detections.probabilities)
            yield result

    write_results(results(), output, format)
    if output and format == "jsonl":
        unreadable |= merge_parts(output, images)
    if unreadable and is_main_process():
        if len(images) > 1:
            log(f"digits-jax: {len(unreadable)} of {len(images)} images could not be read")
        sys.exit(1)


def _check_holds_probabilities(format: Format, method: str) -> None:
    """Checks that --probabilities can be combined with the other options.

    Raises:
      ArgumentError: the format cannot hold probabilities, or the search has none.
    """
    if format != "jsonl":
        raise ArgumentError(
            f"expected --format jsonl with --probabilities; got {format}, which cannot hold them; "
            "leave one of the options out"
        )
    if method == "windows":
        raise ArgumentError(
            "expected --method components with --probabilities; got windows, which keeps the label "
            "and the score of each digit alone; leave one of the options out"
        )


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


def _override(config: DetectorConfig, **options: float | str | None) -> DetectorConfig:
    """Returns the config with the options that were given.

    Raises:
      ArgumentError: min_size is larger than max_size.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return dataclasses.replace(config, **given)


def _with_progress(searched: Iterable[SearchedPage], images: int) -> Iterator[SearchedPage]:
    """Yields the searched pages, and shows in process 0 how many of its images are done."""
    by_image = groupby(searched, key=lambda searched_page: searched_page[0][0].image)
    for _, pages in progress(by_image, "image", images if is_main_process() else 0):
        yield from pages


def _warn_of_truncation(page: Page, ink: Ink | LargeInk, config: DetectorConfig) -> None:
    """Logs that digits may be missing; without a limit in the config only windows have one."""
    if config.method == "windows":
        count = config.max_detections or default_max_detections(bucket_shape(*ink.shape))
        log(
            f"digits-jax: {page.image} may show more digits than the {count:,} candidates that are "
            "examined; leave --method windows out, or cut it into smaller images"
        )
    else:
        log(
            f"digits-jax: {page.image} shows more digits than the {config.max_detections} to which "
            "the configuration of the weights limits it (max_detections); the best are printed"
        )


def _add_probabilities(result: Result, probabilities: Float[np.ndarray, "n 10"] | None) -> None:
    """Adds the ten probabilities to each detection of a page's JSON object, in place."""
    assert probabilities is not None  # the method was checked
    for digit, row in zip(result["detections"], probabilities, strict=True):
        digit["probabilities"] = [round_float32(value) for value in row]


def _annotate(path: Path, picture: Picture, detections: Detections) -> None:
    with atomic_write(path) as temporary:
        draw_detections(picture, detections).save(temporary)
