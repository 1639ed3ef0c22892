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

import multiprocessing as mp
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import tyro
from provenance import provenance, write_result

BLOCK_SECONDS = 3.0
Step = Callable[[], None]  # one whole training step, finished on return


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
    context = mp.get_context("spawn")
    contenders: dict[str, Connection] = {}
    for name in _CONTENDERS:
        ours, theirs = context.Pipe()
        context.Process(target=_contend, args=(name, batch_size, theirs), daemon=True).start()
        theirs.close()  # so that a contender's death ends the waiting for it
        ours.recv()  # ready: compiled and warm
        contenders[name] = ours
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, connection in contenders.items():
            connection.send("go")
            rates[name].append(connection.recv())
    for connection in contenders.values():
        connection.send("stop")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    peer = max((name for name in medians if name != "digits_jax"), key=medians.__getitem__)
    ratios = [a / b for a, b in zip(rates["digits_jax"], rates[peer], strict=True)]
    print(batch_size, medians, f"ratio to {peer}: {statistics.median(ratios):.2f}")
    return {
        "images_per_second_median": {name: round(rate, 1) for name, rate in medians.items()},
        "images_per_second": {n: [round(r, 1) for r in values] for n, values in rates.items()},
        "peer": peer,
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def _contend(name: str, batch_size: int, connection: Connection) -> None:
    step = _CONTENDERS[name](batch_size)
    for _ in range(5):
        step()
    connection.send("ready")
    while connection.recv() == "go":
        begun, steps = time.perf_counter(), 0
        while (seconds := time.perf_counter() - begun) < BLOCK_SECONDS:
            step()
            steps += 1
        connection.send(steps * batch_size / seconds)


def _digits_jax(batch_size: int) -> Step:
    import dataclasses

    import jax

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


def _torch(batch_size: int, *, channels_last: bool) -> Step:
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812

    from digits_jax.data import load_mnist

    train = load_mnist().train
    images, labels = torch.from_numpy(train.images.copy()), torch.from_numpy(train.labels.copy())
    labels = labels.long()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 64, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    ).to(memory_format=layout)
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


def _torch_contiguous(batch_size: int) -> Step:
    return _torch(batch_size, channels_last=False)


def _torch_channels_last(batch_size: int) -> Step:
    return _torch(batch_size, channels_last=True)


_CONTENDERS: dict[str, Callable[[int], Step]] = {
    "digits_jax": _digits_jax,
    "pytorch": _torch_contiguous,
    "pytorch channels-last": _torch_channels_last,
}

if __name__ == "__main__":
    tyro.cli(main)
