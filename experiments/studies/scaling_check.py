"""Does the model of scaling_model.py hold where it can be tried here, on virtual devices?

Virtual devices share the cores of one machine. So n of them with 32 images each need n times the
time of one to compute, and the all-reduce and the dispatch to n devices besides:

    step(n) = n · (step(1) − dispatch(1)) + all_reduce(n) + dispatch(n)

All are timed in turn: the training step of `paper`, an all-reduce of arrays like its gradients
alone, and a program that does next to nothing. The time of the processor is counted as well: it is
hardly changed by other work on the machine, and leaves out how well the devices share the cores.
The check says whether anything else grows with n.
It says nothing of computing side by side, of networks, or of several hosts. A checkpoint of the
run is saved in each round as well.

Command:   python -m experiments.studies.scaling_check
Hardware:  2 CPU cores, otherwise idle; other work beside it is to be named with --beside.
Time:      5 minutes on 2 cores.
Result:    experiments/results/scaling_check.json; docs/scaling.md shows it.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from digits_jax.data.mnist import load_mnist
from digits_jax.models.cnn import init
from digits_jax.runtime.compilation_cache import enable_compilation_cache
from digits_jax.train.checkpoints import Checkpoints, open_checkpoints
from digits_jax.train.multi_step import make_multi_step
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.running_metrics import RunningMetrics
from digits_jax.train.step import initial_state
from experiments.common.provenance import provenance, write_result

DEVICES = (1, 2, 4, 8)
Seconds = Mapping[tuple[str, int], list[float]]  # of a program on so many devices, in each round
STEP, ALL_REDUCE, DISPATCH, SAVE = "step", "all_reduce", "dispatch", "save"


def main(
    rounds: int = 15, batch_per_device: int = 32, warm_up: int = 2, beside: str = "nothing"
) -> None:
    """Times all programs in turn and compares the steps with the model.

    Args:
        rounds: Number of timed rounds.
        batch_per_device: Images of a step on each device.
        warm_up: Number of rounds before them, of which the first compiles.
        beside: What else the machine did meanwhile.
    """
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES[-1])
    enable_compilation_cache()
    with tempfile.TemporaryDirectory() as folder, open_checkpoints(Path(folder)) as checkpoints:
        programs: dict[tuple[str, int], Callable[[], Any]] = {}
        for count in DEVICES:
            mesh = Mesh(jax.devices()[:count], ("data",))
            programs[STEP, count] = _training_step(mesh, batch_per_device * count)
            programs[ALL_REDUCE, count] = _all_reduce(mesh)
            programs[DISPATCH, count] = _dispatch(mesh)
        programs[SAVE, 1] = _save(checkpoints)
        seconds: dict[tuple[str, int], list[float]] = {name: [] for name in programs}
        cpu_seconds: dict[tuple[str, int], list[float]] = {name: [] for name in programs}
        for number in range(warm_up + rounds):
            for name, program in programs.items():
                begun, cpu_begun = time.perf_counter(), time.process_time()
                jax.block_until_ready(program())
                if number >= warm_up:
                    seconds[name].append(time.perf_counter() - begun)
                    cpu_seconds[name].append(time.process_time() - cpu_begun)
    result = {
        "question": "Does a step's time on virtual devices follow the model?",
        **provenance(),
        "beside": beside,
        "rounds": rounds,
        "batch_per_device": batch_per_device,
        "milliseconds_median": _medians(seconds),
        "predicted_over_measured": _ratios(seconds),
        "cpu_milliseconds_median": _medians(cpu_seconds),
        "cpu_predicted_over_measured": _ratios(cpu_seconds),
    }
    print(write_result("scaling_check", result))


def predicted_over_measured(seconds: Seconds, count: int) -> dict[str, float]:
    """Divides the model's step time on `count` devices by the measured one, in each round.

    Args:
      seconds: the times of the programs.
      count: a number of devices.

    Returns:
      The median over the rounds, and the least and the greatest ratio.
    """
    ratios = []
    for number, measured in enumerate(seconds[STEP, count]):
        compute = seconds[STEP, 1][number] - seconds[DISPATCH, 1][number]
        overhead = seconds[DISPATCH, count][number]
        if count > 1:
            overhead += seconds[ALL_REDUCE, count][number]
        ratios.append((count * compute + overhead) / measured)
    return {
        "median": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def _ratios(seconds: Seconds) -> dict[str, dict[str, float]]:
    return {str(count): predicted_over_measured(seconds, count) for count in DEVICES}


def _medians(seconds: Seconds) -> dict[str, dict[str, float]]:
    """Returns the median milliseconds of each program by the number of devices."""
    medians: dict[str, dict[str, float]] = {}
    for (name, count), times in seconds.items():
        medians.setdefault(name, {})[str(count)] = round(1e3 * statistics.median(times), 2)
    return medians


def _training_step(mesh: Mesh, batch_size: int) -> Callable[[], Any]:
    config = dataclasses.replace(CONFIGS["paper"], batch_size=batch_size)
    multi_step = make_multi_step(config, mesh, max_steps=1)
    start = (initial_state(config, jax.random.key(0)), load_mnist().train, jax.random.key(1))
    state, dataset, key = jax.device_put(start, NamedSharding(mesh, P()))

    def step() -> Any:
        nonlocal state
        state, metrics = multi_step(state, dataset, key, 1)
        return state, metrics

    return step


def _all_reduce(mesh: Mesh) -> Callable[[], Any]:
    """Returns a call that adds up arrays like the gradients, one of each on every device."""
    shapes = jax.eval_shape(init, jax.random.key(0))
    gradients = jax.tree.map(lambda leaf: np.ones((mesh.size, *leaf.shape), np.float32), shapes)
    gradients = jax.device_put(gradients, NamedSharding(mesh, P("data")))

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=P("data"), out_specs=P(), check_vma=False)
    def add_up(gradients: Any) -> Any:
        return lax.psum(jax.tree.map(lambda leaf: leaf[0], gradients), "data")

    return partial(add_up, gradients)


def _dispatch(mesh: Mesh) -> Callable[[], Any]:
    numbers = jax.device_put(jnp.zeros(mesh.size), NamedSharding(mesh, P("data")))
    count_up = jax.jit(
        jax.shard_map(lambda x: x + 1.0, mesh=mesh, in_specs=P("data"), out_specs=P("data"))
    )
    return partial(count_up, numbers)


def _save(checkpoints: Checkpoints) -> Callable[[], Any]:
    """Returns a call that saves a checkpoint of `paper`, on a disk of this machine."""
    state = initial_state(CONFIGS["paper"], jax.random.key(0))
    step = 0

    def save() -> None:
        nonlocal step
        step += 1
        checkpoints.save(state._replace(step=jnp.int32(step)), RunningMetrics(), None)

    return save


if __name__ == "__main__":
    tyro.cli(main)
