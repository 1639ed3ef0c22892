"""How much faster than window by window are the exact maps, and are they as exact as they say?

Both ways of making the maps of one image of noise, in turn, in one process.

Command:   python experiments/map_speed.py --side 512 --rounds 5
Hardware:  2 CPU cores without a GPU, or any GPU.
Time:      5 minutes on 2 cores.
Result:    experiments/results/map_speed.json; the figures are in the README.
"""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import tyro
from provenance import provenance, write_result

from digits_jax.detect import patch_maps, response_maps
from digits_jax.maps import ResponseMaps, map_size
from digits_jax.weights import load_pretrained


def main(side: int = 512, rounds: int = 5) -> None:
    """Times both and compares their logits."""
    params = load_pretrained()
    image = jax.random.uniform(jax.random.key(0), (1, side, side, 1))
    ways = {"exact maps": jax.jit(response_maps), "window by window": jax.jit(patch_maps)}
    logits = {name: way(params, image).logits for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(_time(lambda way=way: way(params, image)))  # type: ignore[misc]
    ratios = [slow / fast for fast, slow in zip(*seconds.values(), strict=True)]
    largest = jnp.abs(logits["window by window"]).max()
    difference = jnp.abs(logits["exact maps"] - logits["window by window"]).max()
    windows = map_size(side) ** 2
    result = {
        "question": "How much faster than window by window are the exact maps?",
        **provenance(),
        "side": side,
        "rounds": rounds,
        "times_faster_median": round(statistics.median(ratios), 2),
        "times_faster_by_round": [round(ratio, 2) for ratio in ratios],
        "microseconds_per_window_median": {
            name: round(statistics.median(times) / windows * 1e6, 1)
            for name, times in seconds.items()
        },
        "largest_difference_of_logits": float(difference),
        "tolerance": 1e-4 * max(1.0, float(largest)),
    }
    print(write_result("map_speed", result))


def _time(call: Callable[[], ResponseMaps]) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun


if __name__ == "__main__":
    tyro.cli(main)
