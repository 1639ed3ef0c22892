"""The images that a command is given: files, and those in folders; and the pages of each."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from PIL.ImageFile import StubImageFile

from digits_jax.images.read import ImageError, count_pages


class Page(NamedTuple):
    """What is read at once: an image file's only page, or one of several."""

    image: Path
    number: int | None = None  # from 0; None for a file of one page
    error: ImageError | None = None  # why the pages cannot be counted


def list_images(paths: Sequence[Path], *, but: Path | None = None) -> list[Path]:
    """The files, and the images in the folders and theirs, sorted; each once.

    In folders what is hidden is left out, and so are links to other folders, and files whose
    suffix is of no format that Pillow reads.

    Args:
      paths: files, which are taken whatever they are, and folders.
      but: a folder in them that is left out.

    Raises:
      ImageError: there is not one image.
      OSError: a folder cannot be read.
    """
    images = list(dict.fromkeys(image for path in paths for image in _images_in(path, but)))
    if not images:
        raise ImageError(
            f"{', '.join(map(str, paths))} holds no images: expected files that end in .png, .jpg, "
            ".tif or another suffix that Pillow knows; name the files"
        )
    return images


def list_pages(images: Iterable[Path]) -> Iterator[Page]:
    """The pages of each image, counted when they are asked for; one that cannot be read has one."""
    for image in images:
        try:
            count = count_pages(image)
        except ImageError as error:
            yield Page(image, error=error)
        else:
            yield from [Page(image)] if count == 1 else (Page(image, k) for k in range(count))


def _images_in(path: Path, but: Path | None) -> list[Path]:
    if not path.is_dir():
        return [path]
    left_out = but.resolve() if but else None
    images = []
    for folder, inner, names in os.walk(path, onerror=_raise):
        inside = Path(folder)
        inner[:] = [
            name for name in inner if name[0] != "." and (inside / name).resolve() != left_out
        ]
        images += [
            file
            for file in (inside / name for name in names if name[0] != ".")
            # A link that leads nowhere is an image that is missing; a pipe would wait for ever.
            if file.suffix.lower() in _suffixes() and (file.is_file() or file.is_symlink())
        ]
    return sorted(images)


def _raise(error: OSError) -> None:
    raise error  # rather than leave the folder out


@cache
def _suffixes() -> frozenset[str]:
    """Of the formats that Pillow reads, and does not only know."""
    suffixes = Image.registered_extensions()  # which loads the formats, too
    readers = {name: reader for name, (reader, _) in Image.OPEN.items()}
    read = {
        name
        for name, reader in readers.items()
        if name != "MPEG" and not (isinstance(reader, type) and issubclass(reader, StubImageFile))
    }
    return frozenset(suffix for suffix, name in suffixes.items() if name in read)
