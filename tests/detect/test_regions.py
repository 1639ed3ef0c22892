"""Named regions: files of them, and which digits lie in them."""

from pathlib import Path

import numpy as np
import pytest

from digits_jax.detect.regions import boxes_inside, read_regions
from digits_jax.runtime.errors import ArgumentError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "regions.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_boxes_are_pixels_or_shares_of_the_page(tmp_path: Path) -> None:
    pixels = read_regions(written(tmp_path, '{"date": [10, 20.5, 200, 60], "sum": [0, 0, 1, 1]}'))
    assert pixels.on_page((100, 150)) == {"date": (10, 20.5, 200, 60), "sum": (0, 0, 1, 1)}
    assert pixels.outside((100, 150)) == []
    assert pixels.outside((20, 150)) == ["date"]
    shares = read_regions(written(tmp_path, '{"unit": "share", "date": [0.1, 0.5, 1, 1]}'))
    assert shares.on_page((100, 200)) == {"date": (20, 50, 200, 100)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got what is no JSON"),
        ("[" * 100_000, "got what is no JSON"),
        ("[1]", "expected an object such as"),
        ("{}", "at least one region"),
        ('{"unit": "px"}', "at least one region"),
        ('{"unit": "cm", "a": [0, 0, 1, 1]}', '"px" or "share"; got cm'),
        ('{"unit": [1], "a": [0, 0, 1, 1]}', '"px" or "share"; got [1]'),
        ('{"a": [0, 0, 1, 1], "a": [0, 0, 2, 2]}', "each name once; got 'a' again"),
        ('{"a": [0, 0, 1]}', "[x0, y0, x1, y1] of 'a'"),
        ('{"a": [5, 0, 5, 1]}', "x0 < x1 and 0 ≤ y0 < y1; got [5, 0, 5, 1]"),
        ('{"a": [-1, 0, 5, 1]}', "0 ≤ x0 < x1"),
        ('{"a": [0, 0, NaN, 1]}', "got [0, 0, nan, 1]"),
        ('{"a": [0, 0, 1e999, 1]}', "got [0, 0, inf, 1]"),
        ('{"a": [0, 0, true, 1]}', "got [0, 0, True, 1]"),
        ('{"a": "0 0 1 1"}', "got 0 0 1 1"),
        ('{"a": {"x": 1}}', "of 'a'"),
        ('{"unit": "share", "a": [0, 0, 1, 20]}', "at most 1; got [0, 0, 1, 20]; for pixels"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        read_regions(written(tmp_path, text))
    assert message in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        read_regions(tmp_path / "none.json")
    (tmp_path / "image.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ArgumentError, match="no JSON"):
        read_regions(tmp_path / "image.json")


def test_a_digit_lies_in_a_region_with_its_middle() -> None:
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10], [5, 30, 15, 40]])
    assert boxes_inside((0, 0, 11, 20), boxes) == [0]
    assert boxes_inside((0, 0, 12, 20), boxes) == [0, 1]
    assert boxes_inside((0, 0, 12, 20), boxes[:0]) == []
