"""Lists the image files that a command reads, also those in folders, and the pages of each file."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from PIL.ImageFile import StubImageFile

from digits_jax.images.large import count_tiff_pages, is_read_by_rows
from digits_jax.images.read import ImageError, TooLargeError, count_pages

# Formats that Pillow does not read, or not in every build. They are listed where the package that
# reads them is missing, too, so that each file is reported.
MORE_SUFFIXES = (".pdf", ".heic", ".heif", ".hif", ".avif")


class Page(NamedTuple):
    """One page of an image file."""

    image: Path
    number: int | None = None  # from 0; None if the file has only one page
    error: ImageError | None = None  # why the pages of the file cannot be counted


def list_images(paths: Sequence[Path], *, exclude: Collection[Path] = ()) -> list[Path]:
    """Lists files, and the image files in folders and their subfolders, each file once.

    The files of a folder are sorted. Some files of a folder are left out: those that are hidden or
    in a hidden or linked folder, and those whose suffix belongs to no format that is read.

    Args:
      paths: files and zarr arrays, which are listed whatever their suffix, and folders.
      exclude: subfolders to leave out.

    Raises:
      ImageError: there is no image.
      OSError: a folder cannot be read.
    """
    images = list(dict.fromkeys(image for path in paths for image in _images_in(path, exclude)))
    if not images:
        raise ImageError(
            f"{', '.join(map(str, paths))} holds no images: expected files that end in .png, .jpg, "
            ".tif, .pdf or another suffix of a format that is read; name the files"
        )
    return images


def list_pages(images: Iterable[Path]) -> Iterator[Page]:
    """Yields the pages of each image file; a file is opened only when its first page is requested.

    A file that cannot be read yields one page, with the error.

    Args:
      images: paths of image files.
    """
    for image in images:
        try:
            count = _count_pages(image)
        except ImageError as error:
            yield Page(image, error=error)
        else:
            yield from [Page(image)] if count == 1 else (Page(image, k) for k in range(count))


def _count_pages(image: Path) -> int:
    try:
        if not is_read_by_rows(image):
            return count_pages(image)
    except TooLargeError:  # TIFF, or the error is raised again when the page is read
        pass
    return count_tiff_pages(image) or 1


def _images_in(path: Path, exclude: Collection[Path]) -> list[Path]:
    if not path.is_dir() or is_read_by_rows(path):
        return [path]
    excluded = {folder.resolve() for folder in exclude}
    images = []
    for parent, subfolders, names in os.walk(path, onerror=_raise):
        folder = Path(parent)
        subfolders[:] = [
            name
            for name in subfolders
            if name[0] != "." and (folder / name).resolve() not in excluded
        ]
        images += [
            file
            for file in (folder / name for name in names if name[0] != ".")
            # A broken link is listed, so that it is reported as missing. A pipe is not: reading
            # from it would block.
            if file.suffix.lower() in _readable_suffixes() and (file.is_file() or file.is_symlink())
        ]
    return sorted(images)


def _raise(error: OSError) -> None:
    raise error  # os.walk would skip the folder silently


@cache
def _readable_suffixes() -> frozenset[str]:
    """Returns the suffixes of the formats that can be read, in lower case."""
    formats = Image.registered_extensions()  # by suffix; the call also loads Pillow's plugins
    readers = {name: reader for name, (reader, _) in Image.OPEN.items()}
    # Stubs identify a format and cannot decode it, and neither can the MPEG plugin.
    readable = {
        name
        for name, reader in readers.items()
        if name != "MPEG" and not (isinstance(reader, type) and issubclass(reader, StubImageFile))
    }
    known = (suffix for suffix, name in formats.items() if name in readable)
    return frozenset([*known, *MORE_SUFFIXES])
