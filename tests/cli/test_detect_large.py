"""`digits-jax detect` on images that are read by rows."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from command_line import exit_status, read_json_lines
from PIL import Image

from digits_jax.cli.detect import detect
from digits_jax.cli.detect_options import ResultOptions
from digits_jax.data.scenes import compose
from digits_jax.images import read


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A page of handwriting in colours: the threshold is that of photographs."""
    return compose("page", "validation", 1, seed=2)[0].image


def test_arrays_are_searched_as_pictures_are(
    tmp_path: Path, picture: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", picture)
    zarr.create_array(tmp_path / "c.zarr", data=picture, chunks=(100, 100, 3))
    tifffile.imwrite(tmp_path / "d.tif", picture, byteorder=">", bigtiff=True)
    paths = [tmp_path / name for name in ("b.npy", "a.png", "c.zarr", "d.tif")]
    detect(paths[0], tuple(paths[1:]))
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["image"] for result in results] == list(map(str, paths))
    expected = results[1]
    assert len(expected["detections"]) >= 5
    for result in results:
        assert (result["width"], result["height"]) == (picture.shape[1], picture.shape[0])
        for digit, other in zip(result["detections"], expected["detections"], strict=True):
            assert digit == {**other, "score": pytest.approx(other["score"], abs=2e-3)}


def test_a_tiff_file_over_pillow_s_limit_is_read_by_rows(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pages; a PNG file over the limit is refused with a message."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", picture.size // 3 - 1)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([picture, picture]), tile=(64, 64))
    Image.fromarray(picture).save(tmp_path / "b.png")
    output = tmp_path / "found.jsonl"
    assert exit_status("detect", tmp_path / "a.tif", tmp_path / "b.png", "--output", output) == 1
    first, second, refused = read_json_lines(output)
    assert (first["page"], second["page"]) == (0, 1)
    assert first["detections"] == second["detections"] != []
    assert "too large" in refused["error"]


def test_the_limits_of_a_picture_can_be_raised(
    tmp_path: Path,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By two options, which `detect`, `classify` and `maps` have."""
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_999)
    monkeypatch.setattr(read, "MAX_FILE_BYTES", path.stat().st_size - 1)
    mib = path.stat().st_size / 2**20
    for command in (("detect", path), ("classify", path), ("maps", path, "--output", tmp_path)):
        assert exit_status(*command) == 1
        assert "raise the limit with --max-file-mib" in capsys.readouterr().err
        assert exit_status(*command, "--max-file-mib", mib) == 1
        assert "raise the limit with --max-megapixels" in capsys.readouterr().err
        assert exit_status(*command, "--max-file-mib", mib, "--max-megapixels", 0.09) == 0
        assert exit_status(*command, "--max-file-mib", 0) == 1
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_999)
        monkeypatch.setattr(read, "MAX_FILE_BYTES", path.stat().st_size - 1)


def test_a_large_image_is_not_drawn_and_a_line_says_so(
    tmp_path: Path, picture: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "b.npy", picture)
    detect(tmp_path / "b.npy", results=ResultOptions(annotate=tmp_path / "drawn"))
    assert "too large to be drawn" in capsys.readouterr().err
    assert not list((tmp_path / "drawn").glob("*"))
