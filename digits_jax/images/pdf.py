"""The pages of PDF files as pixels, by PDFium (the extra [pdf])."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import SEEK_END, BufferedReader, BytesIO
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from digits_jax.images.errors import ImageError, TooLargeError
from digits_jax.images.extras import require

DEFAULT_DPI = 200.0  # pixels per inch of the paper
POINTS_PER_INCH = 72  # PDF's unit of length is the point
# PDFium keeps lengths as float32, and pypdfium2 rounds the number of pixels up. So that a scan of
# 2480 px does not become 2481 px wide, lengths are shortened by more than the rounding error.
ROUNDING = 1e-6

MAGIC = b"%PDF-"
END_MARK = b"%%EOF"
END_BYTES = 1024  # the mark is in the last ones, as Adobe's readers have it
PADDING = b"\0\r\n\t "  # that some programs add
MAX_PADDING_BYTES = 2**16

File = BufferedReader | BytesIO

PDFIUM = Lock()  # PDFium may be called by one thread at a time


def is_pdf(file: File) -> bool:
    """Returns whether a file begins as a PDF file does, and leaves it at its beginning.

    What cannot be read twice, such as a pipe, is not read and counts as another format.
    """
    if not file.seekable():
        return False
    head = file.read(64)
    file.seek(0)
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(PADDING).startswith(MAGIC)


def count_pdf_pages(name: str, file: File) -> int:
    """Returns the number of pages.

    Args:
      name: of the file, for messages.
      file: the open file.

    Raises:
      ImageError: pypdfium2 is not installed; or the file is encrypted, damaged or has no pages.
    """
    with _open_document(name, file) as document:
        return len(document)


def render_pdf_page(
    name: str, file: File, page: int, dpi: int | float
) -> UInt8[np.ndarray, "h w *channels"]:
    """Renders a page, with what is filled into its forms, on white.

    Args:
      name: of the file, for messages.
      file: the open file.
      page: number of the page, from 0.
      dpi: pixels per inch of the paper.

    Returns:
      `[h, w]` uint8, grey values, or `[h, w, 3]` uint8, RGB, if the page has colours.

    Raises:
      TooLargeError: the page would have more pixels than `PIL.Image.MAX_IMAGE_PIXELS`. Nothing is
        rendered then.
      ImageError: as for `count_pdf_pages`; or the page shows nothing but a damaged picture.
    """
    with _open_document(name, file) as document:
        scale = dpi / POINTS_PER_INCH * (1 - ROUNDING)
        width, height = (math.ceil(side * scale) for side in document.get_page_size(page))
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise TooLargeError(
                f"page {page} of {name} is too large: expected at most {Image.MAX_IMAGE_PIXELS:,} "
                f"pixels, got {width:,} × {height:,} at {dpi:g} dpi; give `digits-jax detect` a "
                "smaller --dpi, or raise the limit with --max-megapixels (in Python: "
                "PIL.Image.MAX_IMAGE_PIXELS)"
            )
        # What PDFium keeps of a page is freed here, in the thread that has the lock.
        with (
            closing(document[page]) as loaded,
            closing(loaded.render(scale, rev_byteorder=True)) as bitmap,
        ):
            pixels = np.array(bitmap.to_numpy())
            if (pixels == 255).all():
                _check_pictures(name, page, loaded)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    is_grey = (red == green).all() and (green == blue).all()
    return red.copy() if is_grey else pixels


@contextmanager
def _open_document(name: str, file: File) -> Iterator[Any]:
    """Opens a document; no other thread uses PDFium until the block ends."""
    pdfium = require("pypdfium2", "pdf", f"{name} is a PDF file")
    _check_end(name, file)
    with PDFIUM:
        try:
            document = pdfium.PdfDocument(file)
        except pdfium.PdfiumError as error:
            raise ImageError(_reason(name, file, pdfium, error.err_code)) from error
        with document:
            document.init_forms()  # else fields are empty
            yield document


def _check_pictures(name: str, page: int, loaded: Any) -> None:
    """Checks that a page is blank because it is empty: PDFium leaves damaged pictures out silently.

    Raises:
      ImageError: a picture on the page is damaged.
    """
    pdfium = require("pypdfium2", "pdf", f"{name} is a PDF file")
    for picture in loaded.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE]):
        width, height = picture.get_px_size()
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
            continue  # decoding it whole, which rendering does not, may take all memory
        try:
            picture.get_bitmap()
        except pdfium.PdfiumError as error:
            raise ImageError(
                f"page {page} of {name} is damaged: expected pictures that can be decoded, got one "
                "that cannot, and nothing else; get the file again"
            ) from error


def _check_end(name: str, file: File) -> None:
    """Checks that a file is not cut off: of such a file PDFium may render pages without their ink.

    Raises:
      ImageError: it does not end as PDF files do.
    """
    file.seek(max(file.seek(0, SEEK_END) - MAX_PADDING_BYTES, 0))
    end = file.read().rstrip(PADDING)
    file.seek(0)
    if END_MARK not in end[-END_BYTES:]:
        raise ImageError(
            f"{name} is cut off: expected a PDF file that ends with {END_MARK.decode()}, got one "
            f"that ends {end[-8:]!r}; get it again, or print it to a PDF file anew"
        )


def _reason(name: str, file: File, pdfium: Any, code: int) -> str:
    """Returns why a document cannot be opened.

    PDFium's code may be that of an earlier document if this one has no pages.
    """
    file.seek(0)
    data = file.read()
    document = pdfium.raw.FPDF_LoadMemDocument64(data, len(data), None)
    if document:
        pdfium.raw.FPDF_CloseDocument(document)
        return f"{name} has no pages: expected a PDF file with at least one; get it again"
    if code in (pdfium.raw.FPDF_ERR_PASSWORD, pdfium.raw.FPDF_ERR_SECURITY):
        return (
            f"{name} is encrypted: expected a PDF file that opens without a password; remove its "
            "password, or print it to a PDF file anew"
        )
    return (
        f"{name} is damaged: expected a complete PDF file, got one in which PDFium finds no pages; "
        "get it again, or print it to a PDF file anew"
    )
