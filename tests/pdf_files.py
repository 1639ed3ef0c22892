"""PDF files, for tests: of pictures, of one blank page of any size, and encrypted ones."""

import hashlib
from io import BytesIO
from itertools import cycle

import numpy as np
import pypdfium2 as pdfium
from PIL import Image

# What the standard fills passwords up with (ISO 32000-1, section 7.6.3.3).
PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
PERMISSIONS = (-4).to_bytes(4, "little", signed=True)


def pdf_of_pictures(*pictures: np.ndarray, dpi: int | float = 72) -> bytes:
    """Returns a file with a page for each picture, whose pixels it keeps, written by PDFium."""
    document = pdfium.PdfDocument.new()
    for picture in pictures:
        height, width = picture.shape[:2]
        image = pdfium.PdfImage.new(document)
        image.set_bitmap(pdfium.PdfBitmap.from_pil(Image.fromarray(picture).convert("RGB")))
        image.set_matrix(pdfium.PdfMatrix().scale(width * 72 / dpi, height * 72 / dpi))
        page = document.new_page(width * 72 / dpi, height * 72 / dpi)
        page.insert_obj(image)
        page.gen_content()
        page.close()
    return _saved(document)


def pdf_without_pages() -> bytes:
    """Returns a file that PDFium writes of an empty document."""
    return _saved(pdfium.PdfDocument.new())


def blank_pdf(media_box: str = "0 0 612 792", *, page: str = "", trailer: str = "") -> bytes:
    """Returns a file of one page.

    Args:
      media_box: the page's edges, in points.
      page: more entries of the page's dictionary.
      trailer: more entries of the trailer.
    """
    text = f"""%PDF-1.7
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [{media_box}] {page}>> endobj
trailer <</Root 1 0 R {trailer}>>
%%EOF
"""
    return text.encode()


def encrypted_pdf(password: str) -> bytes:
    """Returns a file of one page, encrypted with RC4 and a key of 40 bits.

    Args:
      password: the one without which the file cannot be opened. If it is empty, only changes to the
        file need a password.
    """
    user = (password.encode() + PADDING)[:32]
    owner = _rc4(hashlib.md5((b"owner" + PADDING)[:32]).digest()[:5], user)
    key = hashlib.md5(user + owner + PERMISSIONS + b"id").digest()[:5]
    entries = f"/O <{owner.hex()}> /U <{_rc4(key, PADDING).hex()}> /P -4"
    encrypt = f"/Encrypt <</Filter /Standard /V 1 /R 2 {entries}>>"
    return blank_pdf(trailer=f"/ID [<{b'id'.hex()}> <{b'id'.hex()}>] {encrypt}")


def _saved(document: pdfium.PdfDocument) -> bytes:
    file = BytesIO()
    document.save(file)
    document.close()
    return file.getvalue()


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i, byte in zip(range(256), cycle(key), strict=False):
        j = (j + state[i] + byte) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
