"""How much memory does detection in a large image take?

Detects in a page full of digits. Detection skips blank parts of an image, which saves time but no
memory. So `--rows 1`, a page that is nearly blank, gives nearly the same figure in a minute.

Command:   python -m experiments.benchmarks.detection_memory --side 4096
Hardware:  2 CPU cores without a GPU.
Time:      12 minutes on 2 cores.
Result:    experiments/results/detection_memory.json; `experiments.figures.tables` writes
           the figure to docs/speed.md.
"""

import resource
import time

import numpy as np
import tyro

from digits_jax import detect
from digits_jax.data import scenes
from digits_jax.models.weights import load_pretrained
from experiments.common.provenance import provenance, write_result


def main(side: int = 4096, rows: int = 14, min_size: float = 15, max_size: float = 100) -> None:
    """Detects in one image of rows of 300×300 scenes and reads the process's peak memory.

    Args:
        side: Width and height of the image, px.
        rows: Number of rows with scenes; the rest of the image is blank.
        min_size: Size of the smallest digits to search for, px.
        max_size: Size of the largest digits to search for, px.
    """
    columns = -(-side // 300)
    tiles = [scene.image for scene in scenes.compose("mnist-od", "validation", columns, seed=0)]
    page = np.concatenate([np.concatenate(np.roll(tiles, k, 0), 1) for k in range(rows)], 0)
    page = page[:side, :side]
    image = np.zeros((side, side), np.uint8)
    image[: page.shape[0], : page.shape[1]] = page
    params = load_pretrained()
    start = time.monotonic()
    detections = detect.detect(
        params, image, min_size=min_size, max_size=max_size, max_detections=4096
    )
    result = {
        "question": f"How much memory does detection in a {side}×{side} image take?",
        **provenance(),
        "rows_of_scenes": rows,
        "sizes": [min_size, max_size],
        "detections": len(detections.labels),
        "overflow": detections.truncated,
        "seconds": round(time.monotonic() - start, 1),
        "peak_resident_gib": round(_peak_bytes() / 2**30, 3),
    }
    print(write_result("detection_memory", result))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


if __name__ == "__main__":
    tyro.cli(main)
