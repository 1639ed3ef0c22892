"""Times training, classification, response maps and detection on this machine's devices."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from digits_jax.data.mnist import TRAIN_EXAMPLES, Dataset
from digits_jax.detect.calibration import to_search_score
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.padding import pad_to_bucket
from digits_jax.detect.peaks import pyramid_levels, pyramid_sizes
from digits_jax.detect.pipeline import find_detections
from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import INPUT_SIDE, Params, classify
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.models.fcn.tiling import map_size, pyramid_maps
from digits_jax.models.mixed_precision import compute_dtype_for
from digits_jax.train.batch import Batch
from digits_jax.train.config import CONFIGS
from digits_jax.train.multi_step import make_multi_step
from digits_jax.train.step import TrainState, initial_state, train_step

# A large matrix product measures the rate that a device can reach.
MATMUL_SIDE_CPU = 2048  # rows and columns of each factor
MATMUL_SIDE_ACCELERATOR = 8192
# An accelerator runs many training steps in one call, as `train` does.
TRAIN_STEPS_CPU = 1
TRAIN_STEPS_ACCELERATOR = 100
# The work of the exhaustive search depends on the image's size alone.
EXHAUSTIVE_CONFIG = DetectorConfig(method="windows", min_size=15.0, max_size=100.0)


class Task(NamedTuple):
    """A program with its arguments, to be called and timed any number of times."""

    name: str  # "train", "classify", "maps" or "detect"
    size: str  # of a batch or an image
    precision: str  # of the matrix products: "highest", "high" or "default"
    devices: int  # number of devices that share the work
    unit: str  # what `items` counts: "images" or "windows"
    items: int  # number of items that a call processes
    flop: int  # floating-point operations of a call's matrix products
    call: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The measured throughput of one task: medians and quartiles over the rounds."""

    task: str
    size: str
    precision: str
    devices: int
    unit: str
    per_second: float  # items a second, median
    per_second_quartiles: tuple[float, float]  # lower and upper
    compile_seconds: float  # time of the first call minus the median of the others
    gflop: float  # 10⁹ floating-point operations of a call's matrix products
    matmul_share: float  # rate in operations a second, divided by a large matrix product's
    peak_memory_gib: float  # up to now: the process's on CPU, else that of the device with most


def matmul_side(platform: str) -> int:
    """Returns the rows and columns of the large matrix product that a platform is measured by."""
    return MATMUL_SIDE_CPU if platform == "cpu" else MATMUL_SIDE_ACCELERATOR


def make_tasks(
    params: Params,
    devices: int,
    batch_sizes: Sequence[int],
    image_sizes: Sequence[int],
    precision: lax.Precision,
) -> Iterator[Task]:
    """Makes the tasks to time on the first devices of the default platform.

    Training and classification split a batch over the devices. Response maps and detection process
    one image a device. Images are noise, so that no part of them is blank and skipped.

    Args:
      params: the network's parameters.
      devices: the number of devices to use.
      batch_sizes: batch sizes of training and classification. A size that the devices cannot share
        evenly is left out.
      image_sizes: sides in pixels of the square images for maps and detection.
      precision: that of the matrix products.
    """
    mesh = Mesh(jax.devices()[:devices], ("data",))
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    params = jax.device_put(params, replicated)
    task = partial(Task, precision=precision.name.lower(), devices=devices)
    for batch_size in batch_sizes:
        if batch_size % devices:
            continue
        size = f"batch {batch_size}"
        yield task("train", size, unit="images", **_training_task(batch_size, mesh, precision))
        images = jax.device_put(_noise(batch_size, INPUT_SIDE), sharded)
        forward = jax.jit(partial(_classify, precision=precision))
        yield task(
            "classify",
            size,
            unit="images",
            items=batch_size,
            flop=count_flops(forward, params, images),
            call=partial(forward, params, images),
        )
    for side in image_sizes:
        image = _noise(devices, side)
        maps = jax.jit(partial(response_maps, precision=precision))
        yield task(
            "maps",
            f"{side}×{side}",
            unit="windows",
            items=devices * map_size(side) ** 2,
            flop=count_flops(maps, params, image),
            call=partial(maps, params, image),
        )
        config = EXHAUSTIVE_CONFIG
        sizes = pyramid_sizes(config.min_size, config.max_size, side, config.peaks)
        levels = pyramid_levels((side, side), sizes, config.peaks)
        find = partial(find_detections, config=config, precision=precision)
        padded, extents = pad_to_bucket(list(np.asarray(image[..., 0])))
        least = to_search_score(config.min_score, config.reliability)
        arguments = (params, jnp.asarray(padded), extents, least)
        yield task(
            "detect",
            f"{side}×{side}",
            unit="images",
            items=devices,
            # find_detections skips blank tiles at run time, and noise has none: count all maps.
            flop=count_flops(
                partial(pyramid_maps, levels=levels, precision=precision), params, image
            ),
            call=partial(find, *arguments),
        )


def measure(
    tasks: Sequence[Task], rounds: int, on_compile: Callable[[str], None]
) -> list[Measurement]:
    """Times tasks in turn.

    In each round every task runs once, and so does a large matrix product.

    Args:
      tasks: at least one, of one call of `make_tasks`, so that all have the same number of devices
        and the same precision.
      rounds: the number of timed calls of each task.
      on_compile: receives a line of text before each task is compiled.

    Returns:
      One measurement for each task, in the order of `tasks`.
    """
    matmul = _matmul_task(tasks[0].devices, lax.Precision[tasks[0].precision.upper()])
    first_seconds = {}
    for task in (matmul, *tasks):
        on_compile(f"compiling {task.name}, {task.size}, {task.precision}, {task.devices} devices")
        first_seconds[task] = _time_call(task)
    seconds: dict[Task, list[float]] = {task: [] for task in first_seconds}
    for _ in range(rounds):
        for task, times in seconds.items():
            times.append(_time_call(task))
    matmul_rates = [matmul.flop / s for s in seconds.pop(matmul)]
    return [
        _to_measurement(task, first_seconds[task], times, matmul_rates)
        for task, times in seconds.items()
    ]


def _to_measurement(
    task: Task, first_seconds: float, seconds: list[float], matmul_rates: list[float]
) -> Measurement:
    shares = [task.flop / s / rate for s, rate in zip(seconds, matmul_rates, strict=True)]
    low, median, high = np.quantile([task.items / s for s in seconds], [0.25, 0.5, 0.75]).tolist()
    return Measurement(
        task=task.name,
        size=task.size,
        precision=task.precision,
        devices=task.devices,
        unit=task.unit,
        per_second=round(median, 2),
        per_second_quartiles=(round(low, 2), round(high, 2)),
        compile_seconds=round(max(0.0, first_seconds - statistics.median(seconds)), 2),
        gflop=round(task.flop / 1e9, 3),
        matmul_share=round(statistics.median(shares), 3),
        peak_memory_gib=round(_peak_memory_bytes() / 2**30, 2),
    )


def _time_call(task: Task) -> float:
    """Returns the seconds that a call takes until its results are ready."""
    start = time.perf_counter()
    jax.block_until_ready(task.call())
    return time.perf_counter() - start


def _training_task(batch_size: int, mesh: Mesh, precision: lax.Precision) -> dict[str, Any]:
    """Makes the fields of a task that trains on random digits, as many as MNIST has."""
    dtype: Any = jnp.dtype(compute_dtype_for(precision)).name
    config = dataclasses.replace(CONFIGS["paper"], batch_size=batch_size, compute_dtype=dtype)
    replicated = NamedSharding(mesh, P())
    rng = np.random.default_rng(0)
    dataset = Dataset(
        rng.integers(0, 256, (TRAIN_EXAMPLES, INPUT_SIDE, INPUT_SIDE), np.uint8),
        rng.integers(0, 10, TRAIN_EXAMPLES, np.uint8),
    )
    key = jax.random.key(0)
    initial = initial_state(config, key)
    state, dataset, key = jax.device_put((initial, dataset, key), replicated)
    platform = mesh.devices.flat[0].platform
    steps = TRAIN_STEPS_CPU if platform == "cpu" else TRAIN_STEPS_ACCELERATOR
    multi_step = make_multi_step(config, mesh, max_steps=steps)
    states: list[TrainState] = [state]  # only the latest, since each call donates its argument

    def call() -> Any:
        with jax.default_matmul_precision(precision.name.lower()):
            state, metrics = multi_step(states.pop(), dataset, key, steps)
        states.append(state)
        return state, metrics

    batch = Batch(
        _noise(batch_size, INPUT_SIDE), jnp.zeros(batch_size, jnp.uint8), jnp.ones(batch_size)
    )
    step = partial(train_step, config=config, mesh=mesh)
    flop = steps * count_flops(step, initial, batch, jax.random.key(0))
    return {"items": steps * batch_size, "flop": flop, "call": call}


def _matmul_task(devices: int, precision: lax.Precision) -> Task:
    """Makes the task that multiplies two large matrices on each device."""
    side = matmul_side(jax.devices()[0].platform)
    mesh = Mesh(jax.devices()[:devices], ("data",))
    sharded = NamedSharding(mesh, P("data"))
    matrices = jnp.ones((devices, side, side), compute_dtype_for(precision))
    matrices = jax.device_put(matrices, sharded)
    matmul = jax.jit(partial(jnp.matmul, precision=precision, preferred_element_type=jnp.float32))
    return Task(
        name="matmul",
        size=f"{side}³",
        precision=precision.name.lower(),
        devices=devices,
        unit="matmuls",
        items=devices,
        flop=2 * devices * side**3,
        call=partial(matmul, matrices, matrices),
    )


def _classify(params: Params, images: jax.Array, *, precision: lax.Precision) -> jax.Array:
    with jax.default_matmul_precision(precision.name.lower()):
        return classify(params, images, compute_dtype=compute_dtype_for(precision))


def _noise(n: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(n), (n, side, side, 1))


def _peak_memory_bytes() -> int:
    """Returns the most memory that was in use up to now: the process's on CPU, else a device's."""
    if jax.devices()[0].platform == "cpu":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    stats = [device.memory_stats() or {} for device in jax.devices()]
    return max(int(device_stats.get("peak_bytes_in_use", 0)) for device_stats in stats)
