"""Shares of the images, and the merge of the parts that several processes have written."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from digits_jax.detect import result_parts
from digits_jax.detect.result_files import FinishedPages
from digits_jax.detect.result_parts import PartsError, merge_parts, share_of_process

IMAGES = [Path(name) for name in ("b.png", "a.png", "d.png", "c.png")]


def line(image: object, **keys: Any) -> str:
    return json.dumps({"image": str(image), **keys, "detections": []}) + "\n"


def write_parts(folder: Path, parts: dict[str, Sequence[str]]) -> Path:
    """Writes parts by their suffixes; returns the path of the file to which they belong."""
    output = folder / "found.jsonl"
    for suffix, lines in parts.items():
        output.with_name(f"found.jsonl.part{suffix}").write_text("".join(lines))
    return output


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A file of three pages."""
    path = tmp_path / "scan.tif"
    page = Image.fromarray(np.zeros((10, 20), np.uint8))
    page.save(path, save_all=True, append_images=[page, page])
    return path


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_each_image_that_is_not_finished_is_in_exactly_one_share(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [Path(f"{k}.png") for k in range(11)]
    finished = FinishedPages(frozenset({("0.png", None), ("7.png", None), ("9.png", 1)}))
    monkeypatch.setattr(result_parts, "check_same_in_all_processes", lambda *_: None)
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    shares = []
    for number in range(processes):
        with monkeypatch.context() as patch:
            patch.setattr(jax, "process_index", lambda number=number: number)
            shares.append(share_of_process(images, finished))
    together = [image for share in shares for image in share]
    assert sorted(together) == sorted(set(images) - {Path("0.png"), Path("7.png")})
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_parts_are_merged_in_the_order_of_the_images_and_pages(tmp_path: Path, scan: Path) -> None:
    """Lines of images that are not asked for come first, as in a file that one process adds to."""
    output = write_parts(
        tmp_path,
        {
            "": [line("z.png"), line("a.png", width=1)],
            "-0": [line(scan, page=2), line("b.png"), line("y.png")],
            "-2": [],
            "-10": [line("c.png", error="no"), line(scan, page=0), line("d.png")],
            "-11": [line("é", page=1), line(scan, page=1)],
        },
    )
    output.write_text("old")
    assert merge_parts(output, [*IMAGES[:2], scan, *IMAGES[2:]]) == {"c.png"}
    assert output.read_text() == "".join(
        [
            *(line("z.png"), line("y.png"), line("é", page=1)),
            *(line("b.png"), line("a.png", width=1)),
            *(line(scan, page=page) for page in range(3)),
            *(line("d.png"), line("c.png", error="no")),
        ]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"found.jsonl", "scan.tif"}


def test_without_parts_there_is_nothing_to_merge(tmp_path: Path) -> None:
    output = tmp_path / "found.jsonl"
    output.write_text("whole")
    output.with_name("found.jsonl.part-x").touch()  # somebody's own file
    assert merge_parts(output, IMAGES) == frozenset()
    assert output.read_text() == "whole"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["b.png", "a.png", "c.png"], r"1 are missing, the first of them d\.png\. .* --resume"),
        (["a.png"], r"3 are missing, the first of them b\.png"),
        (
            ["b.png", "a.png", "c.png", "d.png", "a.png"],
            r"1 are there again, .* a\.png in .*part-1",
        ),
    ],
)
def test_a_missing_and_a_doubled_image_are_named_and_nothing_is_written(
    parts: list[str], message: str, tmp_path: Path
) -> None:
    middle = len(parts) // 2
    lines = [line(name) for name in parts]
    output = write_parts(tmp_path, {"-0": lines[:middle], "-1": lines[middle:]})
    output.write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(PartsError, match=message):
        merge_parts(output, IMAGES)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_page_that_two_parts_hold_is_named_with_both(tmp_path: Path, scan: Path) -> None:
    pages = [line(scan, page=page) for page in range(3)]
    output = write_parts(tmp_path, {"": pages[:2], "-3": pages[1:]})
    with pytest.raises(PartsError, match=r"page 1 of \S+scan\.tif in \S+\.part and \S+\.part-3\."):
        merge_parts(output, [scan])


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_page_of_several_is_named(missing: int, tmp_path: Path, scan: Path) -> None:
    pages = [line(scan, page=page) for page in range(3) if page != missing]
    output = write_parts(tmp_path, {"-0": [line("a.png")], "-1": pages})
    with pytest.raises(PartsError, match=rf"1 are missing, .* page {missing} of \S+scan\.tif"):
        merge_parts(output, [Path("a.png"), scan])


def test_the_memory_of_a_merge_does_not_grow_with_the_size_of_the_results(tmp_path: Path) -> None:
    images = [Path(f"{k}.png") for k in range(300)]
    long = [line(image, text=100_000 * "x") for image in images]
    output = write_parts(tmp_path, {"-0": long[::2], "-1": long[1::2]})
    tracemalloc.start()
    merge_parts(output, images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert output.stat().st_size == sum(map(len, long)) > 30_000_000
    assert peak < 3_000_000
