"""Trains `standard` of the package that Python finds: some steps for each line that it reads.

`experiments.benchmarks.standard_time` runs this file with today's package and with a former one, so
that it uses only what both of them have. It writes an empty line when the steps are done.
"""

import importlib
import sys

import jax
import jax.numpy as jnp

from digits_jax.data.mnist import load_mnist
from digits_jax.runtime.devices import data_mesh
from digits_jax.train.multi_step import make_multi_step, steps_per_dispatch
from digits_jax.train.step import initial_state


def main() -> None:
    """Trains from the first step on, again for each line, until the input ends."""
    try:
        configs = importlib.import_module("digits_jax.train.named_configs")
    except ModuleNotFoundError:  # a package from before 2026-11-29
        configs = importlib.import_module("digits_jax.train.config")
    config = configs.CONFIGS["standard"]
    mesh = data_mesh(config.batch_size)
    count = steps_per_dispatch(mesh)
    multi_step = make_multi_step(config, mesh, max_steps=count)
    digits, key = jax.device_put((load_mnist().train, jax.random.key(1)))
    state = initial_state(config, jax.random.key(0))
    for _ in sys.stdin:
        # All steps take the same time, and those beyond the last would have no learning rate.
        state = state._replace(step=jnp.int32(0))
        state, metrics = multi_step(state, digits, key, count)
        jax.block_until_ready((state, metrics))
        print(flush=True)


if __name__ == "__main__":
    main()
