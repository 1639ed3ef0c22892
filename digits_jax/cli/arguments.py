"""Arguments that several commands share, and the weights that `--weights` names."""

import dataclasses
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from PIL import Image

from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig, config_of_weights
from digits_jax.images import read
from digits_jax.images.folders import list_pages
from digits_jax.models.cnn import Params
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.distributed import join_processes
from digits_jax.runtime.progress import log
from digits_jax.train.initial_weights import PRETRAINED as PRETRAINED
from digits_jax.train.initial_weights import is_pretrained, is_weights_file, resolve_weights

ImageArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
MoreImagesArgument = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[IMAGE …]", help_behavior_hint=""),
]
WeightsArgument = Annotated[str, tyro.conf.arg(metavar="pretrained|WORKDIR|FILE")]
DataDirArgument = Annotated[
    Path | None,
    tyro.conf.arg(
        metavar="FOLDER",
        help_behavior_hint="(default: search as `digits-jax train --help` describes)",
    ),
]
MaxMegapixelsArgument = Annotated[
    float | None,
    tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: 89.5, the limit of Pillow)"),
]
MaxFileMibArgument = Annotated[
    float | None,
    tyro.conf.arg(
        metavar="FLOAT", help_behavior_hint=f"(default: {read.MAX_FILE_BYTES / 2**20:.0f})"
    ),
]


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a distributed run; the comment above a field is its text in `--help`."""

    # Run as one of several processes, each started with this command and the same folders, which
    # all must see. SLURM, Kubernetes and TPU pods tell the processes of each other; elsewhere use
    # the next three options instead.
    distributed: bool = False
    # Process 0 listens at this address, and the others connect to it.
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    # There are this many processes. Open MPI tells it.
    num_processes: int | None = None
    # This is the number of this process, from 0 on. Open MPI tells it.
    process_id: int | None = None

    @property
    def are_several(self) -> bool:
        """Whether an option says that this process is one of several."""
        return self != Processes()

    def join(self, *, outlive_lost: bool = False) -> None:
        """Joins the others, if there are any, before JAX does anything else (`join_processes`)."""
        if self.are_several:
            join_processes(
                self.coordinator, self.num_processes, self.process_id, outlive_lost=outlive_lost
            )


ProcessesArgument = Annotated[Processes, tyro.conf.arg(name="")]


class LoadedModel(NamedTuple):
    """The network's parameters, and the constants of detection that suit them."""

    params: Params
    config: DetectorConfig


def set_read_limits(max_megapixels: float | None, max_file_mib: float | None) -> None:
    """Sets how large a picture may be that this process reads whole; None leaves a limit as it is.

    Args:
      max_megapixels: millions of pixels.
      max_file_mib: size of the file in MiB.

    Raises:
      ArgumentError: a limit is not above 0.
    """
    if max_megapixels is not None:
        check_range("--max-megapixels", max_megapixels, 1e-6)
        Image.MAX_IMAGE_PIXELS = round(max_megapixels * 1e6)
    if max_file_mib is not None:
        check_range("--max-file-mib", max_file_mib, 1e-6)
        read.MAX_FILE_BYTES = round(max_file_mib * 2**20)


def log_that_first_page_is_read(image: Path) -> None:
    """Logs that a file has several pages, for commands that read the first one alone."""
    pages = len(list(list_pages([image])))
    if pages > 1:
        log(
            f"digits-jax: {image} has {pages:,} pages, and the first one is read; "
            "`digits-jax detect` reads all"
        )


def load_model(weights: str) -> LoadedModel:
    """Loads the parameters that `--weights` names, with their detector config.

    A weights file holds the config that was fitted to it. Where there is none, in an older file or
    in a training run's folder, the config of the pretrained weights is used, and a line on standard
    error says so.

    Args:
      weights: as for `resolve_weights`.

    Raises:
      WeightsError: as `resolve_weights`; or the stored config is not of this version.
      WorkdirError: as `resolve_weights`.
    """
    params = resolve_weights(weights)
    if is_pretrained(weights):
        return LoadedModel(params, DEFAULT_CONFIG)
    config = config_of_weights(weights) if is_weights_file(weights) else None
    if config is None:
        log(
            f"digits-jax: the weights {weights} come without detector constants; those of the "
            "pretrained weights are used"
        )
        config = DEFAULT_CONFIG
    return LoadedModel(params, config)
