"""The command `digits-jax detect`."""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import tyro

from digits_jax.cli.arguments import Weights, resolve_weights
from digits_jax.detect.batched import detect_readable
from digits_jax.detect.detector import (
    MAX_DETECTIONS,
    MAX_SIZE,
    MIN_SCORE,
    MIN_SIZE,
)
from digits_jax.detect.inputs import default_min_score, read_pages
from digits_jax.detect.output_formats import (
    Format,
    Result,
    check_output_options,
    page_error,
    page_result,
    prepare_output,
    write_results,
)
from digits_jax.detect.peaks import pyramid_sizes
from digits_jax.detect.visualize import draw_detections
from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import AnnotatedPaths, atomic_write
from digits_jax.runtime.progress import log, progress


def detect(
    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    more: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[PATH …]", help_behavior_hint=""),
    ] = (),
    /,
    *,
    weights: Weights = "released",
    min_score: float | None = None,
    min_size: float = MIN_SIZE,
    max_size: float = MAX_SIZE,
    normalise: bool = True,
    read: bool = False,
    format: Format = "jsonl",
    output: Path | None = None,
    resume: bool = False,
    annotate: Path | None = None,
) -> None:
    """Find every digit in images, page by page, and print what was found of each as it comes.

    Args:
        path: An image file, or a folder, in which and in whose folders images are searched for.
        more: Any more of them.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        min_score: The least score of a digit, 0 to 1. If none is named, 0.3 in ink on black and in
            what is not normalised, and 0.65 in other pictures. Below 0.3 readings that better ones
            overlap count, too.
        min_size: The smallest digits' size in pixels.
        max_size: The largest digits' size in pixels.
        normalise: Take ink of any colour on paper of any other, in any light; without it, ink has
            to be bright on black.
        read: Read the digits as lines of numbers, too.
        format: JSON lines, one object a page; COCO's results; or CSV, one row a digit.
        output: File to write to instead. JSON lines grow in FILE.part until all are there.
        resume: Go on with FILE.part after an interruption, or with FILE, if there are new images;
            give the other options as before.
        annotate: Folder for a PNG of each page with boxes and labels.
    """
    _check_detection(min_score, min_size, max_size)
    check_output_options(output, format, read=read, resume=resume)
    images = list_images([path, *more], but=annotate)
    before = prepare_output(output, format, resume=resume)
    pictures = AnnotatedPaths(images, annotate) if annotate else None
    params = resolve_weights(weights)
    left = [image for image in images if not before.holds(Page(image))]
    if resume and len(left) < len(images):
        log(f"{len(images) - len(left)} of {len(images)} images are finished; going on")
    pages = (page for page in list_pages(left) if not before.holds(page))
    unreadable = {str(image) for image in images} & before.unreadable

    def results() -> Iterator[Result]:
        each = detect_readable(
            params,
            read_pages(pages, normalised=normalise),
            min_size=min_size,
            max_size=max_size,
            min_score=MIN_SCORE if min_score is None else min_score,
        )
        by_image = groupby(each, key=lambda sheet_and_found: sheet_and_found[0][0].image)
        for image, of_image in progress(by_image, "image", len(left)):
            for (page, picture), found in of_image:
                if isinstance(found, ImageError):
                    log(f"digits-jax: {found}")
                    unreadable.add(str(image))
                    yield page_error(page, found)
                    continue
                ink, digits = found
                if min_score is None and picture is not None:
                    digits = digits.from_score(default_min_score(picture, normalised=normalise))
                if digits.overflow:
                    log(
                        f"digits-jax: {image} has more that may be digits than the {MAX_DETECTIONS} "
                        "that are looked at; cut it up"
                    )
                if pictures and picture is not None:
                    with atomic_write(pictures.path(image, page.number)) as temporary:
                        draw_detections(picture, digits).save(temporary)
                yield page_result(page, ink, digits, read=read)

    write_results(results(), output, format)
    if unreadable:
        if len(images) > 1:
            log(f"digits-jax: {len(unreadable)} of {len(images)} images could not be read")
        sys.exit(1)


def _check_detection(min_score: float | None, min_size: float, max_size: float) -> None:
    """Refuses before anything is loaded what `detect` would refuse."""
    pyramid_sizes(min_size, max_size)
    if min_score is not None and not 0 <= min_score <= 1:
        raise ArgumentError(f"expected --min-score of 0 to 1; got {min_score:g}")
