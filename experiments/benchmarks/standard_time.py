"""How long does `standard` train, beside its former configuration, in the same minutes?

Command:   GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m experiments.benchmarks.standard_time
Hardware:  2 CPU cores, or a GPU, otherwise idle.
Time:      about 6 minutes on 2 cores.
Result:    experiments/results/standard_time.json: the milliseconds of a step of each, the minutes
           that all steps take, and their ratio.

The former configuration, until 2026-11-29, made 16,000 steps of 256 by Adam, all layers learning
from all windows.
The contenders run in turn, each in a process of its own. What comes before the first step, the
compilation and the pictures, is timed once. Evaluations and checkpoints are left out: they take
less than a minute.
"""

import dataclasses
import os
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import tyro

from digits_jax.data.mnist import load_mnist
from digits_jax.runtime.devices import data_mesh
from digits_jax.train.config import TrainConfig
from digits_jax.train.multi_step import make_multi_step, steps_per_dispatch
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.step import initial_state
from experiments.common.interleave import Call, interleaved_rates
from experiments.common.provenance import provenance, write_result

STANDARD = CONFIGS["standard"]
FORMER = dataclasses.replace(
    STANDARD,
    batch_size=256,
    steps=16_000,
    optimizer="adam",
    learning_rate=2e-3,
    negative_shapes=0.07,
    negative_textures=0.11,
    negative_blank=0.02,
    negative_framed=0.15,
    other_hands=0.3,
    convolution_share=1.0,
)
CONFIGURATIONS = {"standard": STANDARD, "former": FORMER}


def main(rounds: int = 15, block_seconds: float = 3.0) -> None:
    """Measures the steps in turn, and adds up what they take.

    Args:
        rounds: Number of rounds.
        block_seconds: Least seconds that each kind of step runs in a round.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes share the GPU
    begun = time.perf_counter()
    train(STANDARD)()
    start_seconds = time.perf_counter() - begun
    contenders = {name: partial(train, config) for name, config in CONFIGURATIONS.items()}
    rates = interleaved_rates(contenders, rounds, block_seconds, warm_up=5)
    per_call = steps_per_dispatch(data_mesh(STANDARD.batch_size))
    seconds_a_step = {name: [1 / rate / per_call for rate in rates[name]] for name in rates}
    minutes = {
        name: [config.steps * seconds / 60 for seconds in seconds_a_step[name]]
        for name, config in CONFIGURATIONS.items()
    }
    ratios = [a / b for a, b in zip(minutes["standard"], minutes["former"], strict=True)]
    result = {
        "environment": {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "seconds_to_the_first_step": round(start_seconds, 1),
        "milliseconds_a_step": {
            name: round(1e3 * statistics.median(each), 1) for name, each in seconds_a_step.items()
        },
        "minutes_of_all_steps": {
            name: round(statistics.median(each), 2) for name, each in minutes.items()
        },
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }
    question = "How long do all steps of `standard` take, beside the former configuration?"
    print(result)
    print(write_result("standard_time", {"question": question, **provenance(), **result}))


def train(config: TrainConfig) -> Call:
    """Returns a call that makes as many steps as a dispatch has, always from the first."""
    mesh = data_mesh(config.batch_size)
    count = steps_per_dispatch(mesh)
    multi_step = make_multi_step(config, mesh, max_steps=count)
    digits, key = jax.device_put((load_mnist().train, jax.random.key(1)))
    state = initial_state(config, jax.random.key(0))

    def call() -> None:
        nonlocal state
        state = state._replace(step=jnp.int32(0))
        state, metrics = multi_step(state, digits, key, count)
        jax.block_until_ready((state, metrics))

    return call


if __name__ == "__main__":
    tyro.cli(main)
