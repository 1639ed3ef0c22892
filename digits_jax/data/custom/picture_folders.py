"""A folder whose subfolders 0 to 9 hold pictures of single digits."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from digits_jax.data.custom.framing import FramedDigits, frame_picture, stack_digits
from digits_jax.data.mnist import Dataset
from digits_jax.images.folders import Page, list_images, list_pages
from digits_jax.images.read import ImageError, read_image
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.prefetch import prefetch

LABELS = tuple(str(label) for label in range(10))


def label_folders(folder: Path) -> dict[int, Path]:
    """Returns the subfolders 0 to 9 that a folder has, by their label."""
    return {int(name): folder / name for name in LABELS if (folder / name).is_dir()}


def other_subfolders(folder: Path) -> list[str]:
    """Returns the names of the subfolders that are not read, such as one for what is no digit."""
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir() and path.name not in LABELS and path.name[0] != "."
    )


def read_picture_folder(folder: Path) -> FramedDigits:
    """Reads and frames the pictures in the subfolders 0 to 9 of a folder, and in theirs.

    Files that are no pictures by their suffix are ignored, and so are other subfolders.

    Args:
      folder: has at least one of the subfolders.

    Returns:
      The digits, in the order of their labels and paths, and a sentence for each picture that
      cannot be read or is blank.
    """
    images: list[UInt8[np.ndarray, "28 28"]] = []
    labels, notes = [], []
    for label, subfolder in label_folders(folder).items():
        try:
            pages = list_pages(list_images([subfolder]))
        except ImageError:  # no picture of this digit
            continue
        for _, framed in prefetch(_read_page, pages):
            if isinstance(framed, str):
                notes.append(framed)
            else:
                images.append(framed)
                labels.append(label)
    return FramedDigits(
        Dataset(stack_digits(images), np.array(labels, np.uint8)), tuple(notes), len(notes)
    )


def _read_page(page: Page) -> UInt8[np.ndarray, "28 28"] | str:
    """Returns the framed digit, or a sentence that says why there is none."""
    if page.error:
        return str(page.error)
    try:
        return frame_picture(read_image(page.image, page=page.number or 0, colour=True))
    except ImageError as error:
        return str(error)
    except ArgumentError:
        return f"{page.image} is blank"
