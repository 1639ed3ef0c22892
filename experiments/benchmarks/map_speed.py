"""How much faster than classifying window by window are the response maps, and are they exact?

Computes the maps of one image of noise, in turn with peers. `patch_maps`, PyTorch (in both memory
formats) and ONNX Runtime classify every window, and so compute the same maps. PyTorch's à-trous
network passes over the image once and is not exact. A large matrix product measures what the cores
can do.

Command:   python -m experiments.benchmarks.map_speed
Hardware:  2 CPU cores, otherwise idle; needs the extra [bench].
Time:      4 to 8 minutes on 2 cores.
Result:    experiments/results/map_speed.json; `speed_requirements` holds what is required of it.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
import tyro

from digits_jax.eval.flops import count_flops
from digits_jax.models.export.onnx import classifier_to_onnx
from digits_jax.models.fcn.response_maps import patch_maps, response_maps
from digits_jax.models.fcn.tiling import map_size
from digits_jax.models.weights import load_pretrained
from experiments.common.interleave import Call, Contender, interleaved_rates, rate_ratio
from experiments.common.peers import (
    MATMUL,
    large_matmul,
    share_of_matmul,
    torch_a_trous,
    torch_network,
    window_batches,
)
from experiments.common.provenance import provenance, write_result

EXACT, PATCHES, A_TROUS = "exact maps", "patch_maps", "pytorch à-trous"


def main(side: int = 512, rounds: int = 5) -> None:
    """Compares the logits of all contenders, then their speed.

    Args:
        side: Side of the image of noise, px.
        rounds: Number of rounds.
    """
    contenders: dict[str, Contender] = {
        EXACT: partial(_ours, side),
        PATCHES: partial(_ours, side, patches=True),
        "pytorch": partial(_torch, side),
        "pytorch channels-last": partial(_torch, side, channels_last=True),
        "onnxruntime": partial(_onnxruntime, side),
        A_TROUS: partial(_a_trous, side),
    }
    small = {
        name: partial(contender.func, 44, **contender.keywords)  # type: ignore[attr-defined]
        for name, contender in contenders.items()
    }
    logits = {name: np.asarray(contender()()).reshape(-1, 10) for name, contender in small.items()}
    rates = interleaved_rates(
        {**contenders, MATMUL: large_matmul}, rounds, block_seconds=0.1, warm_up=1
    )
    flop = count_flops(response_maps, load_pretrained(), _noise(side)[None, ..., None])
    cells = map_size(side) ** 2
    peers = [name for name in contenders if name not in (EXACT, A_TROUS)]
    peer = max(peers, key=lambda name: float(np.median(rates[name])))
    result = {
        "question": "How much faster than window by window are the exact maps?",
        **provenance(["torch", "onnxruntime"]),
        "side": side,
        "rounds": rounds,
        "microseconds_per_window_median": {
            name: round(1e6 / float(np.median(rates[name])) / cells, 1) for name in contenders
        },
        "fastest_peer": peer,
        "times_faster_than_the_fastest_peer": rate_ratio(rates, EXACT, peer),
        "times_faster_than_patch_maps": rate_ratio(rates, EXACT, PATCHES),
        "times_the_time_of_a_trous": rate_ratio(rates, A_TROUS, EXACT),
        "share_of_the_rate_of_a_product": share_of_matmul(rates, EXACT, flop),
        "largest_difference_of_logits": {
            name: float(np.abs(logits[name] - logits[PATCHES]).max()) for name in contenders
        },
        "largest_logit": float(np.abs(logits[PATCHES]).max()),
    }
    print(write_result("map_speed", result))


def _noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((side, side), np.float32)


def _ours(side: int, *, patches: bool = False) -> Call:
    params = load_pretrained()
    maps = jax.jit(patch_maps if patches else response_maps)
    image = jax.device_put(_noise(side)[None, ..., None])
    return lambda: jax.block_until_ready(maps(params, image)).logits


def _torch(side: int, *, channels_last: bool = False) -> Call:
    import torch

    network, image = torch_network(load_pretrained(), channels_last=channels_last), _noise(side)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def call() -> Any:
        with torch.inference_mode():
            batches = (torch.from_numpy(w).to(memory_format=layout) for w in window_batches(image))
            return torch.cat([network(batch) for batch in batches])

    return call


def _onnxruntime(side: int) -> Call:
    import onnxruntime

    session = onnxruntime.InferenceSession(classifier_to_onnx(load_pretrained()))
    image = _noise(side)
    return lambda: np.concatenate(
        [session.run(None, {"images": w.reshape(-1, 28, 28, 1)})[0] for w in window_batches(image)]
    )


def _a_trous(side: int) -> Call:
    import torch

    network, image = torch_a_trous(load_pretrained()), torch.from_numpy(_noise(side))[None, None]

    def call() -> Any:
        with torch.inference_mode():
            return network(image).permute(0, 2, 3, 1)

    return call


if __name__ == "__main__":
    tyro.cli(main)
