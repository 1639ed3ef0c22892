"""The options of `digits-jax detect`, by what they are about.

The comment above a field is its text in `--help`.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from digits_jax.cli.arguments import MaxFileMibArgument, MaxMegapixelsArgument
from digits_jax.detect.config import DEFAULT_CONFIG, MIN_SIZE_LIMIT, DetectorConfig
from digits_jax.detect.output_formats import Format
from digits_jax.images.pdf import DEFAULT_DPI
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

# px; the search of all windows pads an image by about this much on each side.
MAX_SIZE_LIMIT = 10_000

# Their options have no prefix.
Group = tyro.conf.arg(name="")


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What counts as a digit, and how digits are searched for."""

    # Lowest score of a detection, 0 to 1. On scenes of digits the score is the share of such
    # detections that are right; in pictures of other things fewer are.
    min_score: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT",
            help_behavior_hint=f"(default: {DEFAULT_CONFIG.min_score:g} for ink on black and with "
            f"--no-normalise, {DEFAULT_CONFIG.photo_min_score:g} for other pictures)",
        ),
    ] = None
    # Size of the smallest digits to search for, in pixels, at least 4. A digit's size is 1.4 times
    # its height, because MNIST's images of 28 px hold digits of 20 px.
    min_size: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT", help_behavior_hint=f"(default: {DEFAULT_CONFIG.min_size:g})"
        ),
    ] = None
    # Size of the largest digits to search for, in pixels, at most 10,000.
    max_size: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: any size)")
    ] = None
    # How to search. `components` reads each component of ink by itself, and searches windows only
    # where components touch or are no digit. `windows` searches every window at all scales, which
    # takes ten to forty times as long; with both sizes 28 it is the paper's search at one scale. It
    # examines the 256 likeliest candidates of each 131,072 pixels; a line on standard error names a
    # page with more.
    method: Annotated[
        Literal["components", "windows"] | None,
        tyro.conf.arg(
            metavar="{components,windows}",
            help_behavior_hint=f"(default: {DEFAULT_CONFIG.method})",
        ),
    ] = None

    def check(self) -> None:
        """Checks the ranges before any work, by the names of the command line.

        Raises:
          ArgumentError: an option is outside its range.
        """
        if self.min_score is not None:
            check_range("--min-score", self.min_score, 0, 1)
        for name, size in (("--min-size", self.min_size), ("--max-size", self.max_size)):
            if size is not None:
                check_range(name, size, MIN_SIZE_LIMIT, MAX_SIZE_LIMIT, unit="px")

    def override(self, config: DetectorConfig) -> DetectorConfig:
        """Returns the config with the options that were given.

        Raises:
          ArgumentError: min_size is larger than max_size.
        """
        options: dict[str, Any] = dataclasses.asdict(self)
        given = {name: value for name, value in options.items() if value is not None}
        return dataclasses.replace(config, **given)


@dataclasses.dataclass(frozen=True)
class PictureOptions:
    """How pictures are read."""

    # Accept ink of any colour on paper of any colour, in uneven light. With --no-normalise the ink
    # has to be bright on a black background.
    normalise: bool = True
    # Largest picture that is read whole, in millions of pixels. It guards against files that unpack
    # into more than the memory holds. Larger TIFF files are read in strips.
    max_megapixels: MaxMegapixelsArgument = None
    # Largest file of a picture that is read whole, in MiB.
    max_file_mib: MaxFileMibArgument = None
    # Pixels per inch at which the pages of PDF files are rendered, at least 1.
    dpi: float = DEFAULT_DPI

    def check(self) -> None:
        """Checks the ranges before any work, by the names of the command line.

        Raises:
          ArgumentError: an option is outside its range.
        """
        check_range("--dpi", self.dpi, 1)


@dataclasses.dataclass(frozen=True)
class ResultOptions:
    """What is told of each page, in which format, and where it is written."""

    # Add "lines" to each JSON object: one string a line of text, with its digits from left to
    # right. Lines may slope by up to 20 degrees. Add "numbers", too: their digits with the signs
    # between them, - . , / and :, as text and as a value.
    read: bool = False
    # Add "probabilities" to each detection in JSON lines: those of the digits 0 to 9. The search of
    # all windows does not have them.
    probabilities: bool = False
    # Output format. `jsonl` has one JSON object a page, `coco` is one COCO results file, and `csv`
    # has one row a detection. A COCO file without detections is an empty list, which pycocotools'
    # loadRes cannot read; a line on standard error says so. `label-studio` is a list of tasks that
    # Label Studio imports, with the detections as predictions to be corrected.
    format: Format = "jsonl"
    # What --format label-studio puts before the path of each image, which is the path as given,
    # such as "/data/local-files/?d=" or "s3://bucket/".
    image_url: Annotated[
        str | None, tyro.conf.arg(metavar="PREFIX", help_behavior_hint="(default: the path alone)")
    ] = None
    # File to write. JSON lines are written to FILE.part, which is renamed to FILE after the last
    # page; an interrupted run leaves FILE.part. Process K of several writes FILE.part-K, and
    # process 0 merges these.
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: standard output)"),
    ] = None
    # Continue the parts of an interrupted run, or add new images to FILE, with any number of
    # processes. Give the other arguments as in the first run.
    resume: bool = False
    # Folder for a PNG picture of each page with boxes, labels and scores.
    annotate: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: no pictures)")
    ] = None

    # Folder for a picture of each digit, 28×28 px, in subfolders 0 to 9: new, empty, or that of the
    # run to be continued. crops.csv in it says where each digit is from, and its score. Move the
    # wrong ones into the right subfolders to train on them.
    crops: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: no pictures)")
    ] = None

    @property
    def picture_folders(self) -> list[Path]:
        """The folders that pictures are written to."""
        return [folder for folder in (self.annotate, self.crops) if folder]

    def check(self, method: str, *, several: bool) -> None:
        """Checks that the options can be combined.

        Args:
          method: that of the search.
          several: whether this process is one of several.

        Raises:
          ArgumentError: the format cannot hold probabilities, or the search has none; the format
            has no place for addresses; or digits are to be written that the search does not have,
            or by several processes.
        """
        if self.crops and (method == "windows" or several):
            got = "windows, which does not cut digits out" if method == "windows" else "several"
            raise ArgumentError(
                f"expected --method components and one process with --crops; got {got}; leave one "
                "of the options out"
            )
        if self.image_url is not None and self.format != "label-studio":
            raise ArgumentError(
                f"expected --format label-studio with --image-url; got {self.format}, which names "
                "the images by their paths; leave one of the options out"
            )
        if self.probabilities and self.format != "jsonl":
            raise ArgumentError(
                f"expected --format jsonl with --probabilities; got {self.format}, which cannot "
                "hold them; leave one of the options out"
            )
        if self.probabilities and method == "windows":
            raise ArgumentError(
                "expected --method components with --probabilities; got windows, which keeps the "
                "label and the score of each digit alone; leave one of the options out"
            )
