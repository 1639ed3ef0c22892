"""How fast is a training step beside PyTorch's, on the same hardware in the same minutes?

Command:   .venv/bin/pip install torch==2.13.0, then
           GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python experiments/training_speed.py
Hardware:  2 CPU cores, or a GPU, otherwise idle.
Time:      about 4 minutes.
Result:    experiments/results/training_speed.json, on a GPU training_speed_gpu.json: images/s, the
           ratio, and the share of a matrix product's rate, batch 50 and 256.

Both sides train the paper's network in float32 by Adam at 1e-4, and draw and shift each batch
themselves. On CPU PyTorch runs eager with its fused Adam; on a GPU its step is compiled
(`torch.compile`), its products may round to TF32 as ours do, and a CUDA graph of a whole step is
replayed. Both memory formats; the faster is the peer. A large matrix product says what the hardware
can do. Each contender is a process of its own that waits while another runs; they take turns, and
the ratio is the median over the rounds of the ratio within a round.
"""

import os
import statistics
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import tyro

from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import init
from experiments.common.peers import (
    PRODUCT,
    a_step_in_a_graph,
    large_product,
    share_of_product,
    torch_network,
)
from experiments.common.provenance import provenance, write_result
from experiments.common.turns import Call, Contender, ratio, take_turns

BLOCK_SECONDS = 0.7  # many short rounds: a machine that slows down does so for some seconds
LOOPED = 100  # steps in a call of ours on a GPU, and replays in one of PyTorch's
OURS = "digits_jax"


def main(
    rounds: int = 30, batch_sizes: tuple[int, ...] = (50, 256), block_seconds: float = BLOCK_SECONDS
) -> None:
    """Measures all contenders at each batch size."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a GPU is shared
    table = {
        str(batch_size): _measure(rounds, batch_size, block_seconds) for batch_size in batch_sizes
    }
    result = {
        "environment": {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "question": "How many images a second does training take in, against PyTorch?",
        **provenance(packages=["torch"]),
        "rounds": rounds,
        "block_seconds": block_seconds,
        "batch_size": table,
    }
    print(write_result("training_speed_gpu" if _on_gpu() else "training_speed", result))


def _on_gpu() -> bool:
    return jax.default_backend() == "gpu"


def _steps_in_a_call() -> int:
    return LOOPED if _on_gpu() else 1


def _measure(rounds: int, batch_size: int, block_seconds: float) -> dict[str, object]:
    contenders: dict[str, Contender] = {
        OURS: partial(_digits_jax, batch_size),
        "pytorch": partial(_torch, batch_size),
        "pytorch channels-last": partial(_torch, batch_size, channels_last=True),
    }
    rates = take_turns({**contenders, PRODUCT: large_product}, rounds, block_seconds, warm_up=5)
    images = {
        name: [_steps_in_a_call() * batch_size * rate for rate in rates[name]]
        for name in contenders
    }
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
        "share_of_the_rate_of_a_product": share_of_product(rates, OURS, _flop(batch_size)),
    }


def _flop(batch_size: int) -> int:
    """Of the products in a call of ours."""
    from digits_jax.runtime.devices import data_mesh
    from digits_jax.train.config import CONFIGS
    from digits_jax.train.step import Batch, initial_state, train_step

    recipe, key = CONFIGS["paper"], jax.random.key(0)
    batch = Batch(
        jnp.zeros((batch_size, 28, 28, 1)), jnp.zeros(batch_size, jnp.uint8), jnp.ones(batch_size)
    )
    step = partial(train_step, recipe=recipe, mesh=data_mesh(batch_size))
    return _steps_in_a_call() * count_flops(step, initial_state(recipe, key), batch, key)


def _digits_jax(batch_size: int) -> Call:
    import dataclasses

    from digits_jax.data.mnist import load_mnist
    from digits_jax.runtime.devices import data_mesh
    from digits_jax.train.config import CONFIGS
    from digits_jax.train.multi_step import make_multi_step
    from digits_jax.train.step import initial_state

    recipe = dataclasses.replace(CONFIGS["paper"], batch_size=batch_size)
    steps = _steps_in_a_call()
    advance = make_multi_step(recipe, data_mesh(batch_size), looped=steps > 1)
    digits, key = jax.device_put((load_mnist().train, jax.random.key(1)))
    state = initial_state(recipe, jax.random.key(0))

    def step() -> None:
        nonlocal state
        state, metrics = advance(state, digits, key, steps)
        jax.block_until_ready((state, metrics))

    return step


def _torch(batch_size: int, *, channels_last: bool = False) -> Call:
    import torch
    from torch.nn import functional as F  # noqa: N812

    from digits_jax.data.mnist import load_mnist

    device = "cuda" if _on_gpu() else "cpu"
    if _on_gpu():
        torch.set_float32_matmul_precision("high")
    train = load_mnist().train
    images, labels = torch.tensor(train.images, device=device), torch.tensor(train.labels).long()
    labels = labels.to(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = torch_network(init(jax.random.key(0)), channels_last=channels_last).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True, capturable=_on_gpu())
    within = torch.arange(28, device=device)
    each = torch.arange(batch_size, device=device)[:, None, None]
    draw = partial(torch.randint, device=device)

    def loss(rows: Any, down: Any, right: Any) -> Any:
        padded = F.pad(images[rows].float().div_(255), (6, 6, 6, 6))
        shifted = padded[each, (down + within)[:, :, None], (right + within)[:, None, :]]
        batch = shifted[:, None].contiguous(memory_format=layout)
        return F.cross_entropy(network(batch), labels[rows])

    compiled = torch.compile(loss) if _on_gpu() else loss

    def step() -> None:
        rows = draw(0, len(labels), (batch_size,))
        down, right = draw(0, 13, (2, batch_size, 1))
        optimizer.zero_grad()
        compiled(rows, down, right).backward()
        optimizer.step()

    return a_step_in_a_graph(step, _steps_in_a_call()) if _on_gpu() else step


if __name__ == "__main__":
    tyro.cli(main)
