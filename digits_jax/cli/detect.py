"""The command `digits-jax detect`."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Float, UInt8

from digits_jax.cli.arguments import (
    PRETRAINED,
    Processes,
    ProcessesArgument,
    WeightsArgument,
    load_model,
    set_read_limits,
)
from digits_jax.cli.detect_options import Group, PictureOptions, ResultOptions, SearchOptions
from digits_jax.cli.form_options import FormOptions
from digits_jax.detect.annotated_paths import AnnotatedPaths
from digits_jax.detect.component_readings import SIZE_PER_SIDE
from digits_jax.detect.components import find_components
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crops import CropFolder, check_crop_folder, open_crop_folder
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
from digits_jax.detect.label_studio import LabelStudioOptions
from digits_jax.detect.output_formats import (
    Result,
    page_error,
    page_result,
    round_float32,
)
from digits_jax.detect.padding import bucket_shape
from digits_jax.detect.page_answers import answer
from digits_jax.detect.peaks import default_max_detections
from digits_jax.detect.result_files import (
    FinishedPages,
    begin_output,
    check_output,
    check_output_options,
    write_results,
)
from digits_jax.detect.result_parts import merge_parts, share_of_process
from digits_jax.detect.rotation import (
    choose_turns,
    turn_detections_back,
    turn_each,
    turn_result_back,
)
from digits_jax.detect.visualize import draw_detections
from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError
from digits_jax.runtime.distributed import fail_together, is_main_process
from digits_jax.runtime.files import atomic_write
from digits_jax.runtime.live_processes import begin_together
from digits_jax.runtime.progress import log, progress
from digits_jax.version import __version__

SearchedPage = tuple[
    tuple[Page, Picture | None], int, tuple[Ink | LargeInk, Detections] | ImageError
]


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
    search: Annotated[SearchOptions, Group] = SearchOptions(),  # noqa: B008
    pictures: Annotated[PictureOptions, Group] = PictureOptions(),  # noqa: B008
    results: Annotated[ResultOptions, Group] = ResultOptions(),  # noqa: B008
    forms: Annotated[FormOptions, Group] = FormOptions(),  # noqa: B008
    processes: ProcessesArgument = Processes(),  # noqa: B008
) -> None:
    """Find all digits in images, and print the detections of each page as soon as it is searched.

    A page is an image file, or one page of a multi-page TIFF or PDF file. Its JSON line holds
    "image", "page" (from 0, only for multi-page files), "width", "height" and "detections", a list
    of {"label", "score", "box"} by descending score. A box is [x0, y0, x1, y1] in pixels; x1 and y1
    are exclusive. A page that cannot be read has a line with "image", "page" and "error" instead.
    The other pages are still searched, and the exit status is then 1.

    Digits of any size from --min-size up are found, and any number of them. Only the first frame of
    an animation is searched. The extra [pdf] reads PDF files, and [heif] the HEIC pictures of
    phones.

    TIFF files of any size, .npy files and zarr arrays are read in strips of rows, and need not fit
    into memory; the extra [large] reads them. Name .npy files and zarr arrays themselves, since
    folders are not searched for them.

    Args:
        path: An image file, or a folder. A folder is searched for images, with its subfolders.
            Hidden files and links to folders are left out.
        more: More files and folders.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        search: What counts as a digit, and how digits are searched for.
        pictures: How pictures are read.
        results: What is told of each page, in which format, and where it is written.
        forms: What is asked of numbers and forms, and how pages are turned.
        processes: Several processes, which share the images out and write one file of JSON lines.
    """
    set_read_limits(pictures.max_megapixels, pictures.max_file_mib)
    output, format = results.output, results.format
    options = {"read": results.read, "resume": results.resume}
    check_output_options(output, format, **options, several=processes.are_several)
    search.check()
    pictures.check()
    processes.join(outlive_lost=True)
    with begin_together():
        with fail_together():
            params, config = load_model(weights)
            config = search.override(config)
            results.check(config.method, several=processes.are_several)
            forms.check(read=results.read, format=format, method=config.method)
            images = list_images([path, *more], exclude=results.picture_folders)
            annotated_paths = AnnotatedPaths(images, results.annotate) if results.annotate else None
            questions = forms.questions(read=results.read)
        finished = check_output(output, format, resume=results.resume)
        with fail_together():
            if results.crops is not None:
                check_crop_folder(results.crops, finished, resume=results.resume)
        remaining = share_of_process(images, finished)
        begin_output(output, format, resume=results.resume)

    pages = (page for page in list_pages(remaining) if not finished.holds(page))
    detector = Detector(params, config, log=log)
    normalised = pictures.normalise
    in_strips = partial(
        detect_large, detector, normalised=normalised, show_progress=is_main_process()
    )
    inputs = turn_each(read_pages(pages, normalised=normalised, dpi=pictures.dpi), forms.turns)
    searched = choose_turns(detect_readable(detector.detect_each, inputs, in_strips), forms.turns)
    unreadable = {str(image) for image in images} & finished.unreadable
    without_digits = list[Page]()  # but with ink

    def page_results(crops: CropFolder | None) -> Iterator[Result]:
        for (page, picture), turn, outcome in _with_progress(searched, len(remaining)):
            if isinstance(outcome, ImageError):
                log(f"digits-jax: {outcome}")
                unreadable.add(str(page.image))
                yield page_error(page, outcome)
                continue
            ink, detections = outcome
            if search.min_score is None:
                shown = ink if picture is None else picture
                threshold = default_min_score(shown, normalised=normalised, config=config)
                detections = detections.from_score(threshold)
            if detections.truncated:
                _warn_of_truncation(page, ink, config)
            given = turn_detections_back(detections, turn, ink.shape)
            if annotated_paths and picture is None:
                log(f"digits-jax: {page.image} is too large to be drawn with its detections")
            elif annotated_paths and picture is not None:
                _annotate(annotated_paths.path(page.image, page.number), picture, given)
            if crops:
                crops.write(page, given)
            whole = ink if isinstance(ink, np.ndarray) else None
            if whole is not None and _shows_ink(whole, config) and not len(detections.labels):
                without_digits.append(page)
            if whole is None and forms.rotate != "0":
                log(f"digits-jax: {page.image} is read in strips and is not turned")
            result = page_result(page, ink.shape, detections, read=results.read)
            log_page = partial(_log_of, page)
            result |= answer(questions, whole, ink.shape, detections, config, log_page)
            if results.probabilities:
                _add_probabilities(result, detections.probabilities)
            if forms.rotate != "0":
                result = turn_result_back(result, turn)
            yield result

    named = LabelStudioOptions(results.image_url, f"digits-jax {__version__} {weights}")
    with _crop_folder(results, finished) as crops:
        write_results(page_results(crops), output, format, label_studio=named)
    if without_digits and forms.rotate == "0":
        log(
            f"digits-jax: no digit was found on pages with ink: {len(without_digits):,} of this "
            f"run's, the first of them in {without_digits[0].image}; if pages may be the wrong way "
            "round, add --rotate auto"
        )
    if output and format == "jsonl":
        unreadable |= merge_parts(output, images)
    if unreadable and is_main_process():
        if len(images) > 1:
            log(f"digits-jax: {len(unreadable)} of {len(images)} images could not be read")
        sys.exit(1)


def _shows_ink(image: UInt8[np.ndarray, "h w"], config: DetectorConfig) -> bool:
    """Returns whether an image shows ink as large as a digit, and not just dirt and noise."""
    threshold, smallest_px = config.components.ink_threshold, config.min_size / SIZE_PER_SIDE
    return bool(find_components(image, threshold, smallest_px))


def _crop_folder(
    results: ResultOptions, finished: FinishedPages
) -> AbstractContextManager[CropFolder | None]:
    if results.crops is None:
        return nullcontext()
    return open_crop_folder(results.crops, finished, resume=results.resume)


def _with_progress(searched: Iterable[SearchedPage], images: int) -> Iterator[SearchedPage]:
    """Yields the searched pages, and shows in process 0 how many of its images are done."""
    by_image = groupby(searched, key=lambda searched_page: searched_page[0][0].image)
    for _, pages in progress(by_image, "image", images if is_main_process() else 0):
        yield from pages


def _log_of(page: Page, text: str) -> None:
    log(f"digits-jax: {page.image} {text}")


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
