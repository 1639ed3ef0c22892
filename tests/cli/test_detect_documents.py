"""`digits-jax detect` on PDF files and on pictures of phones."""

import json
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from command_line import exit_status, read_json_lines
from mnist_cases import pretend_installed
from pdf_files import blank_pdf, encrypted_pdf, pdf_of_pictures
from PIL import Image

from digits_jax.data.scenes import compose
from digits_jax.images import read


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Two pages of handwriting in colours."""
    return [scene.image for scene in compose("page", "validation", 2, seed=2)]


def test_the_pages_of_a_pdf_file_are_searched_as_pictures_are(
    tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    """Page by page, in threads; a HEIC file too, whose colours are stored a little differently."""
    scans, output = tmp_path / "scans", tmp_path / "found.jsonl"
    scans.mkdir()
    (scans / "a.pdf").write_bytes(pdf_of_pictures(*pictures, dpi=150))
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(scans / f"b{k}.png")
    pillow_heif.from_pillow(Image.fromarray(pictures[0])).save(scans / "c.heic", quality=-1)
    arguments = ("detect", scans, "--dpi", 150, "--output", output)
    assert exit_status(*arguments, "--annotate", tmp_path / "drawn") == 0
    first, second, *pngs, heic = read_json_lines(output)
    assert (first["page"], second["page"]) == (0, 1)
    for page, png in zip((first, second), pngs, strict=True):
        assert page["detections"] == png["detections"] != []
        assert (page["width"], page["height"]) == (png["width"], png["height"])
    labels = [[digit["label"] for digit in row["detections"]] for row in (heic, pngs[0])]
    assert sorted(labels[0]) == sorted(labels[1])
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert drawn == {"a-page0.png", "a-page1.png", "b0.png", "b1.png", "c.png"}
    whole = output.read_bytes()
    (tmp_path / "found.jsonl.part").write_bytes(whole[: whole.index(b"\n") + 1])
    output.unlink()
    assert exit_status(*arguments, "--resume") == 0
    assert output.read_bytes() == whole


@pytest.mark.usefixtures("pretrained", "fake_detector")
def test_what_cannot_be_read_is_reported_and_the_rest_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pdf").write_bytes(encrypted_pdf("secret"))
    (tmp_path / "b.pdf").write_bytes(blank_pdf("0 0 100000 100000"))
    (tmp_path / "c.pdf").write_bytes(blank_pdf())
    pillow_heif.from_pillow(Image.new("L", (40, 30))).save(tmp_path / "d.HEIC")
    assert exit_status("detect", tmp_path) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    encrypted, huge, good, heic = rows
    assert "is encrypted" in encrypted["error"]
    assert "--dpi" in huge["error"]
    assert (good["width"], good["height"]) == (1700, 2200)
    assert (heic["width"], heic["height"]) == (40, 30)
    for package in ("pypdfium2", "pillow_heif"):
        pretend_installed(monkeypatch, package, False)
    assert exit_status("detect", tmp_path) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["[pdf]" in row["error"] for row in rows] == [True, True, True, False]
    assert "[heif]" in rows[-1]["error"]


@pytest.mark.usefixtures("pretrained", "fake_detector")
def test_pixels_and_bytes_of_a_pdf_file_are_limited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of 1 × 2 inches has 200 × 400 px."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setattr(read, "MAX_FILE_BYTES", read.MAX_FILE_BYTES)
    path = tmp_path / "a.pdf"
    path.write_bytes(blank_pdf("0 0 72 144"))
    for options, message in [
        (("--max-megapixels", 0.08), ""),
        (("--max-megapixels", 0.08, "--dpi", 201), "page 0 of"),
        (("--max-megapixels", 0.0799), "got 200 × 400 at 200 dpi"),
        (("--max-megapixels", 1, "--max-file-mib", 1e-5), "--max-file-mib"),
        (("--dpi", 0.5), "expected --dpi to be at least 1; got 0.5"),
        (("--dpi", "nan"), "expected --dpi"),
    ]:
        assert exit_status("detect", path, *options) == bool(message)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.usefixtures("pretrained")
def test_classify_and_maps_read_the_first_page_and_say_so(
    tmp_path: Path, pages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ink = np.zeros((60, 60), np.uint8)
    ink[20:44, 28:32] = 255
    files = [tmp_path / name for name in ("a.pdf", "b.tif", "c.heic")]
    files[0].write_bytes(pdf_of_pictures(*[ink] * pages))
    images = [Image.fromarray(ink)] * pages
    images[0].save(files[1], save_all=True, append_images=images[1:])
    pillow_heif.from_pillow(images[0]).save(files[2])
    assert exit_status("classify", *files, "--min-score", 0) == 0
    printed = capsys.readouterr()
    assert [line.partition(":")[0] for line in printed.out.splitlines()] == [*map(str, files)]
    said = [line for line in printed.err.splitlines() if "the first one is read" in line]
    assert said == [
        f"digits-jax: {file} has 2 pages, and the first one is read; `digits-jax detect` reads all"
        for file in files[:2]
        if pages == 2
    ]
    assert exit_status("maps", files[1], "--output", tmp_path / "maps") == 0
    assert ("the first one is read" in capsys.readouterr().err) == (pages == 2)
