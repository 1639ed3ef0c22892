"""How fast is a training step compared with PyTorch's, on the same hardware in the same minutes?

Command:   GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
               python -m experiments.benchmarks.training_speed
Hardware:  2 CPU cores, or a GPU, otherwise idle; needs the extra [bench].
Time:      about 4 minutes.
Result:    experiments/results/training_speed.json, on a GPU training_speed_gpu.json: images a
           second, their ratio, and the share of a matrix product's rate, at batch 50 and 256.

Both train the paper's network in float32 with Adam at 1e-4. Both sample and translate the digits of
each batch. On CPU, PyTorch runs eagerly with its fused Adam. On a GPU its step is compiled
(`torch.compile`), its matrix products may round to TF32 as ours do, and a CUDA graph of the whole
step is replayed. PyTorch runs in both memory formats, and the faster one is the peer. A large
matrix product measures what the hardware can do. The contenders run in turn, each in a process of
its own. The ratio is the median over the rounds of the ratio within a round.
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
from experiments.common.interleave import Call, Contender, interleaved_rates, rate_ratio
from experiments.common.peers import (
    MATMUL,
    cuda_graph_call,
    large_matmul,
    share_of_matmul,
    torch_network,
)
from experiments.common.provenance import provenance, write_result

BLOCK_SECONDS = 0.7  # many short rounds, since a slow phase of the machine lasts some seconds
GPU_STEPS = 100  # training steps in one call of ours on a GPU, and replays in one of PyTorch's
OURS = "digits_jax"


def main(
    rounds: int = 30, batch_sizes: tuple[int, ...] = (50, 256), block_seconds: float = BLOCK_SECONDS
) -> None:
    """Measures all contenders at each batch size.

    Args:
        rounds: Number of rounds.
        batch_sizes: Batch sizes to measure.
        block_seconds: Least seconds that a contender trains for in a round.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes share the GPU
    table = {
        str(batch_size): measure_batch(rounds, batch_size, block_seconds)
        for batch_size in batch_sizes
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


def _steps_per_call() -> int:
    return GPU_STEPS if _on_gpu() else 1


def measure_batch(
    rounds: int, batch_size: int, block_seconds: float, *, with_peers: bool = True
) -> dict[str, Any]:
    """Measures all contenders at one batch size.

    Args:
      rounds: the number of rounds.
      batch_size: images of a step.
      block_seconds: the least seconds that a contender trains for in a round.
      with_peers: whether to measure PyTorch, too. Without it there is no ratio.

    Returns:
      Images a second of each contender, the ratio to the faster peer, and the share of the rate of
      a matrix product.
    """
    contenders: dict[str, Contender] = {OURS: partial(_digits_jax_step, batch_size)}
    if with_peers:
        contenders["pytorch"] = partial(_torch_step, batch_size)
        contenders["pytorch channels-last"] = partial(_torch_step, batch_size, channels_last=True)
    rates = interleaved_rates(
        {**contenders, MATMUL: large_matmul}, rounds, block_seconds, warm_up=5
    )
    images = {
        name: [_steps_per_call() * batch_size * rate for rate in rates[name]] for name in contenders
    }
    medians = {name: statistics.median(per_second) for name, per_second in images.items()}
    result = {
        "images_per_second_median": {name: round(rate, 1) for name, rate in medians.items()},
        "images_per_second": {name: [round(r, 1) for r in each] for name, each in images.items()},
        "share_of_the_rate_of_a_product": share_of_matmul(rates, OURS, _flop(batch_size)),
    }
    if not with_peers:
        return result
    peer = max((name for name in medians if name != OURS), key=medians.__getitem__)
    ratio = rate_ratio(rates, OURS, peer)
    return {
        **result,
        "peer": peer,
        "ratio_median": ratio["median"],
        "ratio_range": [ratio["least"], ratio["most"]],
    }


def _flop(batch_size: int) -> int:
    """Counts the floating-point operations of one call of `_digits_jax_step`."""
    from digits_jax.runtime.devices import data_mesh
    from digits_jax.train.batch import Batch
    from digits_jax.train.named_configs import CONFIGS
    from digits_jax.train.step import initial_state, train_step

    config, key = CONFIGS["paper"], jax.random.key(0)
    batch = Batch(
        jnp.zeros((batch_size, 28, 28, 1)), jnp.zeros(batch_size, jnp.uint8), jnp.ones(batch_size)
    )
    step = partial(train_step, config=config, mesh=data_mesh(batch_size))
    return _steps_per_call() * count_flops(step, initial_state(config, key), batch, key)


def _digits_jax_step(batch_size: int) -> Call:
    import dataclasses

    from digits_jax.data.mnist import load_mnist
    from digits_jax.runtime.devices import data_mesh
    from digits_jax.train.multi_step import make_multi_step
    from digits_jax.train.named_configs import CONFIGS
    from digits_jax.train.step import initial_state

    config = dataclasses.replace(CONFIGS["paper"], batch_size=batch_size)
    steps = _steps_per_call()
    multi_step = make_multi_step(config, data_mesh(batch_size), max_steps=steps)
    dataset, key = jax.device_put((load_mnist().train, jax.random.key(1)))
    state = initial_state(config, jax.random.key(0))

    def step() -> None:
        nonlocal state
        state, metrics = multi_step(state, dataset, key, steps)
        jax.block_until_ready((state, metrics))

    return step


def _torch_step(batch_size: int, *, channels_last: bool = False) -> Call:
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
    pixel = torch.arange(28, device=device)
    example = torch.arange(batch_size, device=device)[:, None, None]
    randint = partial(torch.randint, device=device)

    def loss(rows: Any, down: Any, right: Any) -> Any:
        padded = F.pad(images[rows].float().div_(255), (6, 6, 6, 6))
        shifted = padded[example, (down + pixel)[:, :, None], (right + pixel)[:, None, :]]
        batch = shifted[:, None].contiguous(memory_format=layout)
        return F.cross_entropy(network(batch), labels[rows])

    compiled = torch.compile(loss) if _on_gpu() else loss

    def step() -> None:
        rows = randint(0, len(labels), (batch_size,))
        down, right = randint(0, 13, (2, batch_size, 1))
        optimizer.zero_grad()
        compiled(rows, down, right).backward()
        optimizer.step()

    return cuda_graph_call(step, _steps_per_call()) if _on_gpu() else step


if __name__ == "__main__":
    tyro.cli(main)
