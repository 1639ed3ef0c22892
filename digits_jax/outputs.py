"""Where commands write what they were asked for."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def prepare_folder(path: Path) -> None:
    """Makes a folder, where there is none yet."""
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: expected a folder to write to; name another")
    path.mkdir(parents=True, exist_ok=True)


def prepare_file(path: Path) -> None:
    """Makes a file's folder, and makes sure that the file can be replaced."""
    if path.exists() and not path.is_file():  # replacing it would remove a folder or a device
        raise FileExistsError(f"{path} is no file: expected one to write to; name another")
    path.parent.mkdir(parents=True, exist_ok=True)


def picture_paths(images: Sequence[Path], folder: Path) -> list[Path]:
    """A picture's path for each image, all different, also where case makes no difference."""
    prepare_folder(folder)
    taken = {str(image.resolve()).casefold() for image in images}  # never over an image itself
    paths = []
    for image in images:
        path, number = folder / f"{image.stem}.png", 1
        while (key := str(path.resolve()).casefold()) in taken:
            number += 1
            path = folder / f"{image.stem}-{number}.png"
        taken.add(key)
        paths.append(path)
    return paths


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file, whole or not at all."""
    path = path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
