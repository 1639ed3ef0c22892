"""Images larger than memory, of which some rows are read: TIFF, NumPy's .npy files, zarr arrays."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from digits_jax.images.errors import ImageError, raise_as_image_error
from digits_jax.images.extras import require
from digits_jax.images.read import read_image

BIG_ENDIAN_BIGTIFF = b"MM\0+"  # which Pillow 12 does not read
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", BIG_ENDIAN_BIGTIFF)
NPY_MAGIC = b"\x93NUMPY"
ZARR_FILES = ("zarr.json", ".zarray")  # of versions 3 and 2
# The codecs of zarr that run no code of the file: numcodecs also has one that unpickles.
SAFE_CODECS = frozenset(
    [
        *("bytes", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd"),
        *("zlib", "lz4", "bz2", "lzma", "crc32", "adler32", "fletcher32", "packbits"),
        *("shuffle", "delta", "fixedscaleoffset", "bitround", "quantize", "astype"),
    ]
)
# Of a chunk or tile, which is decoded whole: a limit of the memory that a file may ask for.
MAX_CHUNK_PIXELS = 64 * 2**20
UPRIGHT = 1  # a value of TIFF's tag Orientation


class LargeImage:
    """An image of which some rows are read at a time.

    Attributes:
      shape: height and width, px.
    """

    def __init__(self, name: str, array: Any, *, inverted: bool = False):
        """Checks that the array is an image.

        Args:
          name: of the image, for messages.
          array: `[h, w]` or `[h, w, c]` with 1 or 3 channels, of any type that `read_image` takes;
            a slice of rows is all that is asked of it.
          inverted: whether 0 is white.

        Raises:
          ImageError: the array has another shape.
        """
        shape = tuple(array.shape)
        if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or 0 in shape:
            raise ImageError(
                f"{name} cannot be read as an image: expected an array [h, w], or [h, w, c] of 1 "
                f"or 3 channels; got {list(shape)}; write it anew with such a shape"
            )
        self.shape = shape[0], shape[1]
        self._name, self._array, self._inverted = name, array, inverted

    def read(self, rows: slice, *, colour: bool = False) -> UInt8[np.ndarray, "_ w *channels"]:
        """Reads some rows, with the types and colours of `read_image`.

        Args:
          rows: which; a step is allowed.
          colour: whether to return colours if the image has any.

        Raises:
          ImageError: the file is damaged, or values are out of range.
        """
        with raise_as_image_error(self._name):
            # TIFF and .npy may be big-endian.
            values = np.asarray(self._array[rows])
            values = values.astype(values.dtype.newbyteorder("="), copy=False)
            pixels = read_image(values, colour=colour)
        return 255 - pixels if self._inverted else pixels


def is_read_by_rows(path: Path) -> bool:
    """Returns whether a path has a format that Pillow does not read: .npy, zarr, some BigTIFF."""
    return _is_zarr(path) or _begins_with(path, (NPY_MAGIC, BIG_ENDIAN_BIGTIFF))


def count_tiff_pages(path: Path) -> int | None:
    """Returns the number of pages of a TIFF file of any size; None for other files.

    Raises:
      ImageError: tifffile is not installed, or the file is damaged.
    """
    if not _begins_with(path, TIFF_MAGICS):
        return None
    with ExitStack() as stack:
        stack.enter_context(raise_as_image_error(str(path)))
        return len(stack.enter_context(_tifffile(path).TiffFile(path)).pages)


@contextmanager
def open_large_image(path: Path, page: int = 0) -> Iterator[LargeImage]:
    """Opens a TIFF, .npy or zarr file of any size; its rows can be read until the block ends.

    Args:
      path: the file, or the folder of a zarr array.
      page: number of a page of a TIFF file, from 0.

    Raises:
      ImageError: the file has another format, is damaged, has a shape or codec that is not read, or
        is stored in pieces that are too large; or a package is not installed.
    """
    with ExitStack() as stack:
        with raise_as_image_error(str(path)):
            if _is_zarr(path):
                image = LargeImage(str(path), _open_zarr(path))
            elif _begins_with(path, (NPY_MAGIC,)):
                image = LargeImage(str(path), np.load(path, mmap_mode="r", allow_pickle=False))
            else:
                tiff = stack.enter_context(_tifffile(path).TiffFile(path))
                image = _open_tiff_page(path, tiff.pages[page], stack)
        yield image


def _open_tiff_page(path: Path, page: Any, stack: ExitStack) -> LargeImage:
    import tifffile
    import zarr

    photometric = tifffile.PHOTOMETRIC
    orientation = page.tags.valueof("Orientation", UPRIGHT)
    readable = (photometric.MINISBLACK, photometric.MINISWHITE, photometric.RGB, photometric.YCBCR)
    if page.photometric not in readable or page.axes not in ("YX", "YXS"):
        raise ImageError(
            f"{path} cannot be read in strips: expected grey values or RGB, got "
            f"{getattr(page.photometric, 'name', page.photometric)} with axes {page.axes}; convert "
            "it to a TIFF of grey values"
        )
    if orientation != UPRIGHT:
        raise ImageError(
            f"{path} cannot be read in strips: expected an upright image, got TIFF's orientation "
            f"{int(orientation)}; rotate its pixels"
        )
    inverted = page.photometric == photometric.MINISWHITE
    array: Any
    if page.is_memmappable:
        array = tifffile.memmap(path, page=page.index, mode="r")
    else:
        _check_chunk(path, page.chunks)
        array = zarr.open_array(stack.enter_context(page.aszarr()), mode="r")
    return LargeImage(str(path), array, inverted=inverted)


def _open_zarr(path: Path) -> Any:
    described = next(path / name for name in ZARR_FILES if _is_file(path / name))
    metadata = json.loads(described.read_text())
    if metadata.get("node_type") == "group":
        raise ImageError(
            f"{path} is a group of zarr arrays: expected one array; name one that is in it"
        )
    codecs = _codec_names([metadata.get(key) for key in ("codecs", "compressor", "filters")])
    if unsafe := codecs - SAFE_CODECS:
        raise ImageError(
            f"{path} cannot be read: expected zarr codecs that hold data alone, got "
            f"{', '.join(sorted(unsafe))}; write the array anew, with zstd"
        )
    zarr = _require("zarr", path)
    array = zarr.open_array(path, mode="r")
    _check_chunk(path, array.chunks)
    return array


def _codec_names(value: Any) -> set[str]:
    """Returns the names of the codecs in a part of zarr's metadata, also those inside shards."""
    if isinstance(value, list):
        return {name for item in value for name in _codec_names(item)}
    if not isinstance(value, dict):
        return set()
    names = {str(value[key]).removeprefix("numcodecs.") for key in ("id", "name") if key in value}
    nested = value.get("configuration")
    inner = nested if isinstance(nested, dict) else {}
    return names | _codec_names([inner.get(key) for key in ("codecs", "index_codecs")])


def _check_chunk(path: Path, chunks: tuple[int, ...]) -> None:
    pixels = int(np.prod(chunks[:2]))
    if pixels > MAX_CHUNK_PIXELS:
        raise ImageError(
            f"{path} cannot be read in strips: expected tiles or chunks of at most "
            f"{MAX_CHUNK_PIXELS:,} pixels, got {chunks[0]:,} × {chunks[1]:,}; write it anew in "
            "tiles, such as 512 × 512"
        )


def _is_zarr(path: Path) -> bool:
    return any(_is_file(path / name) for name in ZARR_FILES)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _begins_with(path: Path, magics: tuple[bytes, ...]) -> bool:
    if not _is_file(path):  # a pipe could not be read again
        return False
    with raise_as_image_error(str(path)), path.open("rb") as file:
        return file.read(max(map(len, magics))).startswith(magics)


def _tifffile(path: Path) -> Any:
    _require("zarr", path)
    return _require("tifffile", path)


def _require(package: str, path: Path) -> Any:
    return require(package, "large", f"{path} is read in strips")
