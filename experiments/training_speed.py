"""How fast is a training step beside PyTorch's, on the same cores in the same minutes?

Command:   .venv/bin/pip install torch==2.13.0, then
           GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python experiments/training_speed.py
Hardware:  2 CPU cores, otherwise idle.
Time:      about 3 minutes.
Result:    experiments/results/training_speed.json: images/s and the ratio, batch 50 and 256.

Both sides train the paper's network in float32 by Adam at 1e-4, and draw and shift each batch
themselves. PyTorch runs eager with its fused Adam, in both memory formats, the faster of which is
the peer. Each contender is a process of its own that waits while another runs; they take turns in
blocks of a few seconds, and the ratio is the median over the rounds of the ratio within a round.
"""

import os
import statistics
from functools import partial

import jax
import tyro
from peers import torch_network
from provenance import provenance, write_result
from turns import Call, Contender, ratio, take_turns

from digits_jax.network import init

BLOCK_SECONDS = 3.0
OURS = "digits_jax"


def main(rounds: int = 7, batch_sizes: tuple[int, ...] = (50, 256)) -> None:
    """Measures all contenders at each batch size."""
    table = {str(batch_size): _measure(rounds, batch_size) for batch_size in batch_sizes}
    result = {
        "environment": {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "question": "How many images a second does training take in, against PyTorch?",
        **provenance(packages=["torch"]),
        "rounds": rounds,
        "block_seconds": BLOCK_SECONDS,
        "batch_size": table,
    }
    print(write_result("training_speed", result))


def _measure(rounds: int, batch_size: int) -> dict[str, object]:
    contenders: dict[str, Contender] = {
        OURS: partial(_digits_jax, batch_size),
        "pytorch": partial(_torch, batch_size),
        "pytorch channels-last": partial(_torch, batch_size, channels_last=True),
    }
    rates = take_turns(contenders, rounds, BLOCK_SECONDS, warm_up=5)
    images = {name: [batch_size * rate for rate in of] for name, of in rates.items()}
    medians = {name: statistics.median(of) for name, of in images.items()}
    peer = max((name for name in medians if name != OURS), key=medians.__getitem__)
    compared = ratio(rates, OURS, peer)
    print(batch_size, medians, f"ratio to {peer}: {compared['median']}")
    return {
        "images_per_second_median": {name: round(rate, 1) for name, rate in medians.items()},
        "images_per_second": {name: [round(r, 1) for r in of] for name, of in images.items()},
        "peer": peer,
        "ratio_median": compared["median"],
        "ratio_range": [compared["least"], compared["most"]],
    }


def _digits_jax(batch_size: int) -> Call:
    import dataclasses

    from digits_jax.data import load_mnist
    from digits_jax.mesh import data_mesh
    from digits_jax.recipe import RECIPES
    from digits_jax.step import initial_state, make_advance

    recipe = dataclasses.replace(RECIPES["paper"], batch_size=batch_size)
    advance = make_advance(recipe, data_mesh(batch_size), looped=False)
    digits, key = jax.device_put((load_mnist().train, jax.random.key(1)))
    state = initial_state(recipe, jax.random.key(0))

    def step() -> None:
        nonlocal state
        state, metrics = advance(state, digits, key, 1)
        jax.block_until_ready((state, metrics))

    return step


def _torch(batch_size: int, *, channels_last: bool = False) -> Call:
    import torch
    from torch.nn import functional as F  # noqa: N812

    from digits_jax.data import load_mnist

    train = load_mnist().train
    images, labels = torch.from_numpy(train.images.copy()), torch.from_numpy(train.labels.copy())
    labels = labels.long()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = torch_network(init(jax.random.key(0)), channels_last=channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    within = torch.arange(28)

    def step() -> None:
        rows = torch.randint(0, len(labels), (batch_size,))
        padded = F.pad(images[rows].float().div_(255), (6, 6, 6, 6))
        down, right = torch.randint(0, 13, (2, batch_size, 1))
        each = torch.arange(batch_size)[:, None, None]
        shifted = padded[each, (down + within)[:, :, None], (right + within)[:, None, :]]
        batch = shifted[:, None].contiguous(memory_format=layout)
        optimizer.zero_grad()
        F.cross_entropy(network(batch), labels[rows]).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    tyro.cli(main)
