"""How fast training, classification, maps and detection are on the devices that there are."""

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
from digits_jax.detect.detector import MAX_DETECTIONS, MAX_SIZE, MIN_SCORE, MIN_SIZE, pad_to_bucket
from digits_jax.detect.peaks import find_peaks, pyramid_levels, pyramid_sizes
from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import INPUT_SIDE, Params, classify
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.models.fcn.tiling import map_size, pyramid_maps
from digits_jax.models.mixed_precision import compute_dtype_of
from digits_jax.train.config import CONFIGS
from digits_jax.train.multi_step import make_multi_step
from digits_jax.train.step import Batch, TrainState, initial_state, train_step

PRODUCT = {"cpu": 2048}  # rows and columns of the product that says what a device can do
PRODUCT_ELSEWHERE = 8192
STEPS = {"cpu": 1}  # of training in a call
STEPS_ELSEWHERE = 100


class Task(NamedTuple):
    """Something to time, as often as is liked."""

    name: str
    size: str
    precision: str
    devices: int
    unit: str  # of what a call does `items` of
    items: int
    flop: int  # of a call's products
    call: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A task's throughput: medians over the rounds, and how far these spread."""

    task: str
    size: str
    precision: str  # of the products
    devices: int
    unit: str
    per_second: float
    per_second_quartiles: tuple[float, float]
    compile_seconds: float  # the first call less the median of the others
    gflop: float  # of the products, a call
    share_of_limit: float  # of the rate of a large product in the same round, on as many devices
    peak_memory_gib: float  # so far: of the process on CPU, else of the device where it holds most


def make_tasks(
    params: Params,
    devices: int,
    batch_sizes: Sequence[int],
    image_sizes: Sequence[int],
    precision: lax.Precision,
) -> Iterator[Task]:
    """What there is to time on so many of the default platform's devices.

    Training and classification share a batch of digits out; the maps and detection take an image
    for each device. Images are noise, so that nothing is blank and skipped.
    """
    mesh = Mesh(jax.devices()[:devices], ("data",))
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    params = jax.device_put(params, replicated)
    named = partial(Task, precision=precision.name.lower(), devices=devices)
    for batch_size in batch_sizes:
        if batch_size % devices:
            continue  # no whole number each
        size = f"batch {batch_size}"
        yield named("train", size, unit="images", **_training(batch_size, mesh, precision))
        images = jax.device_put(_noise(batch_size, INPUT_SIDE), sharded)
        read = jax.jit(partial(_classify, precision=precision))
        yield named(
            "classify",
            size,
            unit="images",
            items=batch_size,
            flop=count_flops(read, params, images),
            call=partial(read, params, images),
        )
    for side in image_sizes:
        image = _noise(devices, side)
        look = jax.jit(partial(response_maps, precision=precision))
        yield named(
            "maps",
            f"{side}×{side}",
            unit="windows",
            items=devices * map_size(side) ** 2,
            flop=count_flops(look, params, image),
            call=partial(look, params, image),
        )
        sizes = pyramid_sizes(MIN_SIZE, MAX_SIZE)
        levels = pyramid_levels((side, side), sizes)
        find = partial(
            find_peaks,
            sizes=sizes,
            capacity=MAX_DETECTIONS,
            precision=precision,
        )
        whole = jnp.asarray(pad_to_bucket(np.asarray(image[..., 0]))[..., None])
        arguments = (params, whole, jnp.full((devices, 2), side), MIN_SCORE)
        yield named(
            "detect",
            f"{side}×{side}",
            unit="images",
            items=devices,
            # Of noise all maps are needed; find_peaks itself decides that only when it runs.
            flop=count_flops(
                partial(pyramid_maps, levels=levels, precision=precision), params, image
            ),
            call=partial(find, *arguments),
        )


def measure(chosen: Sequence[Task], rounds: int, said: Callable[[str], None]) -> list[Measurement]:
    """Times tasks of one number of devices and one precision, in turn, so often.

    Args:
      chosen: as `make_tasks` gives them.
      rounds: in each of which every task runs once, and a large product to compare them with.
      said: receives a line before each task is compiled.
    """
    limit = _limit(chosen[0].devices, lax.Precision[chosen[0].precision.upper()])
    first = {}
    for task in (limit, *chosen):
        said(f"compiling {task.name}, {task.size}, {task.precision}, {task.devices} devices")
        first[task] = _seconds(task)
    times: dict[Task, list[float]] = {task: [] for task in first}
    for _ in range(rounds):
        for task, seconds in times.items():
            seconds.append(_seconds(task))
    rates = [limit.flop / seconds for seconds in times.pop(limit)]
    return [_measured(task, first[task], seconds, rates) for task, seconds in times.items()]


def _measured(
    task: Task, first: float, seconds: list[float], limit_rates: list[float]
) -> Measurement:
    shares = [task.flop / s / rate for s, rate in zip(seconds, limit_rates, strict=True)]
    per_second = np.quantile([task.items / s for s in seconds], [0.25, 0.5, 0.75]).tolist()
    return Measurement(
        task.name,
        task.size,
        task.precision,
        task.devices,
        task.unit,
        round(per_second[1], 2),
        (round(per_second[0], 2), round(per_second[2], 2)),
        round(max(0.0, first - statistics.median(seconds)), 2),
        round(task.flop / 1e9, 3),
        round(statistics.median(shares), 3),
        round(_peak_memory() / 2**30, 2),
    )


def _seconds(task: Task) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(task.call())
    return time.perf_counter() - begun


def _training(batch_size: int, mesh: Mesh, precision: lax.Precision) -> dict[str, Any]:
    factors: Any = jnp.dtype(compute_dtype_of(precision)).name
    recipe = dataclasses.replace(CONFIGS["paper"], batch_size=batch_size, factors=factors)
    replicated = NamedSharding(mesh, P())
    rng = np.random.default_rng(0)
    digits = Dataset(
        rng.integers(0, 256, (TRAIN_EXAMPLES, INPUT_SIDE, INPUT_SIDE), np.uint8),
        rng.integers(0, 10, TRAIN_EXAMPLES, np.uint8),
    )
    key = jax.random.key(0)
    initial = initial_state(recipe, key)
    state, digits, key = jax.device_put((initial, digits, key), replicated)
    platform = mesh.devices.flat[0].platform
    steps = STEPS.get(platform, STEPS_ELSEWHERE)
    advance = make_multi_step(recipe, mesh, looped=steps > 1)
    states: list[TrainState] = [state]

    def call() -> Any:
        with jax.default_matmul_precision(precision.name.lower()):
            state, metrics = advance(states.pop(), digits, key, steps)
        states.append(state)
        return state, metrics

    batch = Batch(
        _noise(batch_size, INPUT_SIDE), jnp.zeros(batch_size, jnp.uint8), jnp.ones(batch_size)
    )
    step = partial(train_step, recipe=recipe, mesh=mesh)
    flop = steps * count_flops(step, initial, batch, jax.random.key(0))
    return {"items": steps * batch_size, "flop": flop, "call": call}


def _limit(devices: int, precision: lax.Precision) -> Task:
    """A large product on each device."""
    platform = jax.devices()[0].platform
    side = PRODUCT.get(platform, PRODUCT_ELSEWHERE)
    mesh = Mesh(jax.devices()[:devices], ("data",))
    sharded = NamedSharding(mesh, P("data"))
    factors = compute_dtype_of(precision)
    left = jax.device_put(jnp.ones((devices, side, side), factors), sharded)
    product = jax.jit(partial(jnp.matmul, precision=precision, preferred_element_type=jnp.float32))
    flop = 2 * devices * side**3
    call = partial(product, left, left)
    return Task(
        "product", f"{side}³", precision.name.lower(), devices, "products", devices, flop, call
    )


def _classify(params: Params, images: jax.Array, *, precision: lax.Precision) -> jax.Array:
    with jax.default_matmul_precision(precision.name.lower()):
        return classify(params, images, factors=compute_dtype_of(precision))


def _noise(n: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(n), (n, side, side, 1))


def _peak_memory() -> int:
    """Bytes."""
    if jax.devices()[0].platform == "cpu":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    used = [device.memory_stats() or {} for device in jax.devices()]
    return max(int(stats.get("peak_bytes_in_use", 0)) for stats in used)
