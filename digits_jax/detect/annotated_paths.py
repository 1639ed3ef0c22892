"""The PNG files that annotated images are written to."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from digits_jax.runtime.files import make_output_folder


class AnnotatedPaths:
    """Gives each image, and each page of it, a PNG file of its own in one folder.

    The names are those of the images. Where two names would be the same, a number is added. Names
    that differ only in case count as the same, as on macOS and Windows. No image is overwritten.

    Args:
      images: the paths of the images, each once.
      folder: the folder for the PNG files; it is created.

    Raises:
      FileExistsError: `folder` is a file.
    """

    def __init__(self, images: Sequence[Path], folder: Path):
        make_output_folder(folder)
        self._folder = folder
        self._used = {_path_key(image) for image in images}
        self._by_image = {}
        last_number = Counter[str]()  # by stem, so that many equal stems take linear time
        for image in images:
            stem = image.stem.casefold()
            path, last_number[stem] = self._unused_path(image.stem, last_number[stem] + 1)
            self._by_image[image] = path
            self._used.add(_path_key(path))

    def path(self, image: Path, page: int | None) -> Path:
        """Returns the path for an image, or for one of its pages.

        Args:
          image: one of the images given to the constructor.
          page: number of the page, or None if the file has only one.
        """
        path = self._by_image[image]
        return path if page is None else self._unused_path(f"{path.stem}-page{page}", 1)[0]

    def _unused_path(self, stem: str, first_number: int) -> tuple[Path, int]:
        """Returns the first unused path, counting up from a number, and its number."""
        for number in count(first_number):
            path = self._folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
            if _path_key(path) not in self._used:
                break
        return path, number


def _path_key(path: Path) -> str:
    return str(path.resolve()).casefold()
