"""Pages of PDF files, written by PDFium, Pillow and by hand."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from image_files import COLOURS, GREY, RAMP
from mnist_cases import pretend_installed
from pdf_files import blank_pdf, encrypted_pdf, pdf_of_pictures, pdf_without_pages
from PIL import Image

from digits_jax.images.folders import Page, list_pages
from digits_jax.images.read import ImageError, TooLargeError, count_pages, read_image

A4_AT_300_DPI = (3508, 2480)  # px


def written(folder: Path, data: bytes, name: str = "a.pdf") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_a_page_at_its_own_resolution_has_the_pixels_of_its_picture(tmp_path: Path) -> None:
    """Whatever the file's name; a page in grey is read as such, and one in colours as colours."""
    path = written(tmp_path, pdf_of_pictures(RAMP, COLOURS, dpi=200), "scan")
    np.testing.assert_array_equal(read_image(path, colour=True), RAMP)
    np.testing.assert_array_equal(read_image(path, page=1, colour=True), COLOURS)
    luma = np.asarray(Image.fromarray(COLOURS).convert("L"))
    np.testing.assert_array_equal(read_image(path.read_bytes(), page=1), luma)
    with pytest.raises(ImageError, match="cannot be read as an image"):
        read_image(path, page=2)


def test_a_page_has_dpi_pixels_per_inch_and_is_white_where_nothing_is_printed() -> None:
    """An inch has 72 points; a page that is turned has its sides exchanged."""
    for media_box, options, dpi, shape in [
        ("0 0 612 792", {}, 200, (2200, 1700)),
        ("0 0 612 792", {}, 72, (792, 612)),
        ("100 50 172 194", {}, 100, (200, 100)),
        ("0 0 72 144", {"page": "/Rotate 90"}, 100, (100, 200)),
        ("0 0 0.1 0.1", {}, 72, (1, 1)),
    ]:
        pixels = read_image(blank_pdf(media_box, **options), dpi=dpi, colour=True)
        assert pixels.shape == shape
        assert (pixels == 255).all()
    assert read_image(blank_pdf()).shape == (2200, 1700)


def test_a_scan_that_pillow_writes_keeps_its_size() -> None:
    """Pillow's page is 595.2 points wide, which float32 holds as a little more."""
    scan = Image.new("1", A4_AT_300_DPI[::-1], 1)
    scan.paste(0, (600, 1000, 640, 1090))
    file = BytesIO()
    scan.save(file, "PDF", resolution=300)
    pixels = read_image(file.getvalue(), dpi=300)
    assert pixels.shape == A4_AT_300_DPI
    dark = np.argwhere(pixels < 128)
    corners = np.array([dark.min(axis=0), dark.max(axis=0)])
    assert np.abs(corners - [[1000, 600], [1089, 639]]).max() <= 1  # PDFium resamples it


def test_what_is_filled_into_a_form_is_drawn() -> None:
    """A field of text, whose appearance is a black bar."""
    bar = "0 0 0 rg 0 0 40 20 re f"
    field = f"""%PDF-1.7
1 0 obj <</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [4 0 R]>>>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Annots [4 0 R]>> endobj
4 0 obj <</Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (1) /Rect [10 60 50 80] /F 4
/AP <</N 5 0 R>>>> endobj
5 0 obj <</Type /XObject /Subtype /Form /BBox [0 0 40 20] /Length {len(bar)}>> stream
{bar}
endstream endobj
trailer <</Root 1 0 R>>
%%EOF
"""
    pixels = read_image(field.encode(), dpi=72)
    assert (pixels[22:38, 12:48] < 200).all()
    assert (pixels[45:] == 255).all()


def test_pages_are_numbered_if_there_are_several(tmp_path: Path) -> None:
    one = written(tmp_path, pdf_of_pictures(RAMP))
    three = written(tmp_path, pdf_of_pictures(RAMP, COLOURS, RAMP), "b.pdf")
    assert (count_pages(one), count_pages(three)) == (1, 3)
    assert list(list_pages([one, three])) == [Page(one), *(Page(three, k) for k in range(3))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encrypted_pdf("secret"), "a.pdf is encrypted: expected a PDF file that opens without"),
        (pdf_without_pages(), "a.pdf has no pages"),
        (b"%PDF-1.4\n%%EOF", "a.pdf is damaged"),
        (b"%PDF-1.4\n" + 5000 * b"x" + b"%%EOF", "a.pdf is damaged"),
        (b"%PDF-", "a.pdf is cut off"),
        (pdf_of_pictures(RAMP, COLOURS)[:-12], "a.pdf is cut off: expected a PDF file that ends"),
        (pdf_of_pictures(RAMP).replace(b"/Kids[", b"/Kids [99 0 R]/x["), "cannot be read as"),
    ],
)
def test_a_pdf_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ImageError, match=message):
        read_image(path)
    for other in (encrypted_pdf("secret"), b"%PDF-1.4\n%%EOF"):  # PDFium keeps the last reason
        with pytest.raises(ImageError):
            read_image(other)
        with pytest.raises(ImageError, match=message):
            read_image(path)


def test_a_pdf_file_whose_password_guards_only_changes_is_read() -> None:
    assert read_image(encrypted_pdf(""), dpi=72).shape == (792, 612)


def test_a_pdf_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    """Even where PDFium reads it, since it would leave out what is missing."""
    data = pdf_of_pictures(RAMP, COLOURS)
    end = data.rindex(b"%%EOF") + len(b"%%EOF")
    for cut in (*range(5, end, 61), end - 1):
        path = written(tmp_path, data[:cut])
        with pytest.raises(ImageError, match="is cut off"):
            count_pages(path)
    for padding in (b"", b"\r\n\0", 3000 * b"\0"):
        assert count_pages(written(tmp_path, data[:end] + padding)) == 2


def test_a_page_whose_scan_is_damaged_is_refused_and_not_blank() -> None:
    """PDFium renders it white; a page whose scan is white is read."""
    for value in (0, 255):
        file = BytesIO()
        Image.new("L", (60, 40), value).save(file, "PDF", resolution=200)
        data = file.getvalue()
        assert set(read_image(data).ravel()) == {value}
    start = data.index(b"\xff\xd8\xff")  # of the JPEG file in it
    with pytest.raises(ImageError, match="page 0 of the data is damaged"):
        read_image(data[:start] + bytes(100) + data[start + 100 :])


def test_too_many_pixels_are_refused_before_anything_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered: list[float] = []
    render = pdfium.PdfPage.render

    def recorded(page: pdfium.PdfPage, scale: float, **options: object) -> pdfium.PdfBitmap:
        rendered.append(scale)
        return render(page, scale, **options)

    monkeypatch.setattr(pdfium.PdfPage, "render", recorded)
    huge = blank_pdf("0 0 1000000 1000000")
    with pytest.raises(TooLargeError, match=r"got 2,777,775 × 2,777,775 at 200 dpi; .*--dpi"):
        read_image(huge)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 200)
    page = blank_pdf("0 0 72 144")
    assert read_image(page, dpi=100).shape == (200, 100)
    with pytest.raises(TooLargeError, match="page 0 of the data is too large"):
        read_image(page, dpi=101)
    assert len(rendered) == 1


def test_threads_read_the_pages_that_one_thread_reads_and_call_pdfium_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[int] = []
    at_once: list[int] = []

    def recorded(call: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            inside.append(get_ident())
            at_once.append(len(set(inside)))
            time.sleep(0.002)
            result = call(*arguments, **options)
            inside.remove(get_ident())
            return result

        return wrapper

    values = list(range(0, 240, 20))
    pictures = [np.full((60, 50), value, np.uint8) for value in values]
    several = written(tmp_path, pdf_of_pictures(*pictures, dpi=200))
    single = [
        written(tmp_path, pdf_of_pictures(picture, dpi=200), f"{k}.pdf")
        for k, picture in enumerate(pictures)
    ]
    pages = [*((several, k) for k in range(len(values))), *((path, 0) for path in single)] * 2
    for owner, name in [
        (pdfium.PdfDocument, "__init__"),
        (pdfium.PdfDocument, "get_page_size"),
        (pdfium.PdfDocument, "close"),
        (pdfium.PdfPage, "render"),
        (pdfium.PdfPage, "close"),
        (pdfium.PdfBitmap, "close"),
    ]:
        monkeypatch.setattr(owner, name, recorded(getattr(owner, name)))
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda page: read_image(page[0], page=page[1]), pages))
    assert [set(pixels.ravel()) for pixels in read] == [{value} for value in values] * 4
    assert len(at_once) == 6 * len(pages)
    assert max(at_once) == 1


def test_without_pypdfium2_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, pdf_of_pictures(np.asarray(GREY)))
    pretend_installed(monkeypatch, "pypdfium2", False)
    (page,) = list_pages([path])
    with pytest.raises(ImageError) as caught:
        read_image(path)
    for error in (page.error, caught.value):
        assert str(error) == (
            f"{path} is a PDF file, for which the package pypdfium2 is missing: install the extra, "
            "as with pip install 'digits-jax[pdf]'"
        )
