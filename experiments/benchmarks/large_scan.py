"""How much memory and time does detection take in a scan larger than memory, read in strips?

Writes a tiled, compressed BigTIFF, the ink of a few A4 scans with 200 digits each, side by side and
below each other on one paper, and detects in it. Of a second file, which fits into memory, the
strips' detections are compared with those of the whole.

Command:   python -m experiments.benchmarks.large_scan --side 30000
Hardware:  2 CPU cores without a GPU.
Time:      10 minutes on 2 cores.
Result:    experiments/results/large_scan.json; docs/speed.md tells the figures.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from json import dumps, loads
from pathlib import Path

import numpy as np
import tifffile
import tyro
from jaxtyping import UInt8

from digits_jax.detect.detector import Detector
from digits_jax.images.ink_rows import NormalisedRows
from digits_jax.images.large import open_large_image
from digits_jax.images.normalise import normalise
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.progress import log
from experiments.common.provenance import provenance, write_result
from experiments.common.synthetic_pages import draw_a4_scan

TILE = 512  # px
SCANS = 3  # different ones
PAPER, CONTRAST = 225, 0.7  # grey level, and how much of it full ink takes away


def main(side: int = 30_000, heights: tuple[int, ...] = (10_000, 30_000)) -> None:
    """Detects in scans of some heights, each in a process of its own.

    Args:
        side: Width of the scans, px.
        heights: Heights of the scans, px.
    """
    scans = [draw_scan(seed) for seed in range(SCANS)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for height in heights:
            path = Path(folder) / "scan.tif"
            log(f"writing {side} × {height}")
            _write(path, scans, side, height)
            command = [sys.executable, "-m", "experiments.benchmarks.large_scan", "one", str(path)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append({"width": side, "height": height, **loads(output)})
            log(str(rows[-1]))
    result = {
        "question": "How much memory and time does detection take in a scan larger than memory?",
        **provenance(),
        "scans": rows,
        "same_as_whole": _compare_with_whole(scans),
    }
    print(write_result("large_scan", result))


def draw_scan(seed: int) -> UInt8[np.ndarray, "h w"]:
    """Draws the ink of an A4 scan on the paper that all of them share, which has a slight grain.

    Args:
      seed: of the scan.
    """
    ink = normalise(draw_a4_scan(seed, "validation")[0].image)
    grain = np.random.default_rng(seed).normal(0, 2, ink.shape)
    return np.rint(PAPER - CONTRAST * ink + grain).clip(0, 255).astype(np.uint8)


def detect_one(path: Path) -> None:
    """Detects in one file, and prints time and memory as JSON.

    Args:
        path: The file.
    """
    detector = Detector(load_pretrained(), log=log)
    before = _peak_gib()
    begun = time.monotonic()
    with open_large_image(path) as image:
        rows = NormalisedRows(image, show_progress=True)
        found = detector.detect_rows(rows)
    print(
        dumps(
            {
                "megapixels": round(rows.shape[0] * rows.shape[1] / 1e6, 1),
                "file_mib": round(path.stat().st_size / 2**20, 1),
                "detections": len(found.labels),
                "seconds": round(time.monotonic() - begun, 1),
                "resident_gib_before": before,
                "peak_resident_gib": _peak_gib(),
            }
        )
    )


def _write(path: Path, scans: list[np.ndarray], width: int, height: int) -> None:
    """Writes copies of the scans, tile by tile."""
    row = [np.concatenate(np.roll(scans, k, 0), axis=1) for k in range(SCANS)]

    def tiles() -> Iterator[np.ndarray]:
        for y in range(0, height, TILE):
            scan_rows = np.arange(y, min(y + TILE, height))
            for x in range(0, width, TILE):
                columns = np.arange(x, min(x + TILE, width)) % row[0].shape[1]
                tile = np.zeros((TILE, TILE), np.uint8)
                for k in range(SCANS):
                    own = scan_rows // row[0].shape[0] % SCANS == k
                    part = row[k][np.ix_(scan_rows[own] % row[0].shape[0], columns)]
                    tile[: len(own), : len(columns)][own] = part
                yield tile

    tifffile.imwrite(
        path,
        tiles(),
        shape=(height, width),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="zlib",
        compressionargs={"level": 1},
        bigtiff=True,
        photometric="minisblack",
    )


def _compare_with_whole(scans: list[np.ndarray]) -> dict[str, object]:
    """Detects in a scan of 16 A4 pages both ways: in strips, and at once."""
    height, width = scans[0].shape
    detector = Detector(load_pretrained(), log=log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.tif"
        _write(path, scans, 4 * width, 4 * height)
        with open_large_image(path) as image:
            rows = NormalisedRows(image)
            strips = detector.detect_rows(rows)
            whole = detector.detect(rows.read(0, 4 * height))
    keys = [
        sorted(
            zip(*(a.tolist() for a in (found.boxes_xyxy, found.labels, found.scores)), strict=True)
        )
        for found in (strips, whole)
    ]
    is_same = [key[:2] for key in keys[0]] == [key[:2] for key in keys[1]]
    difference = max(abs(a[2] - b[2]) for a, b in zip(*keys, strict=True)) if is_same else None
    return {
        "megapixels": round(16 * height * width / 1e6, 1),
        "detections": len(whole.labels),
        "same_boxes_and_labels": is_same,
        "largest_difference_of_scores": difference,
    }


def _peak_gib() -> float:
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
    return round(kib / 2**20, 3)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        tyro.cli(detect_one, args=["--path", *sys.argv[2:]])
    else:
        tyro.cli(main)
