"""How much memory does detection in a large image take?

Command:   python experiments/detection_memory.py --side 4096
Hardware:  2 CPU cores without a GPU.
Time:      40 minutes on 2 cores with the default sizes, a tenth of it with --min-size 28.
Result:    experiments/results/detection_memory.json; the figures are in the README.
"""

import resource
import time

import numpy as np
import tyro
from provenance import provenance, write_result

from digits_jax import detect, scenes
from digits_jax.weights import load_pretrained


def main(side: int = 4096, min_size: float = 15, max_size: float = 100) -> None:
    """Detects in one image made of 300×300 scenes, and asks the system for the peak."""
    across = -(-side // 300)
    tiles = [scene.image for scene in scenes.compose("mnist-od", "validation", across, seed=0)]
    image = np.concatenate([np.concatenate(np.roll(tiles, k, 0), 1) for k in range(across)], 0)
    image = np.ascontiguousarray(image[:side, :side])
    params = load_pretrained()
    begun = time.monotonic()
    found = detect.detect(params, image, min_size=min_size, max_size=max_size, capacity=4096)
    result = {
        "question": f"How much memory does detection in a {side}×{side} image take?",
        **provenance(),
        "sizes": [min_size, max_size],
        "detections": len(found.labels),
        "overflow": found.overflow,
        "seconds": round(time.monotonic() - begun, 1),
        "peak_resident_gib": round(_peak_bytes() / 2**30, 3),
    }
    print(write_result("detection_memory", result))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


if __name__ == "__main__":
    tyro.cli(main)
