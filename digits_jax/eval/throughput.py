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
from digits_jax.detect.detector import CAPACITY, MAX_SIZE, MIN_SCORE, MIN_SIZE, framed
from digits_jax.detect.peaks import find_peaks, levels_of, sizes_between
from digits_jax.eval.flops import count_flop
from digits_jax.models.cnn import SIDE, Params, classify
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.models.fcn.tiling import map_levels, map_size
from digits_jax.models.mixed_precision import factors_at
from digits_jax.train.config import RECIPES
from digits_jax.train.multi_step import make_advance
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
class Measured:
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


def tasks(
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
        images = jax.device_put(_noise(batch_size, SIDE), sharded)
        read = jax.jit(partial(_classify, precision=precision))
        yield named(
            "classify",
            size,
            unit="images",
            items=batch_size,
            flop=count_flop(read, params, images),
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
            flop=count_flop(look, params, image),
            call=partial(look, params, image),
        )
        sizes = sizes_between(MIN_SIZE, MAX_SIZE)
        levels = levels_of((side, side), sizes)
        find = partial(
            find_peaks,
            sizes=sizes,
            capacity=CAPACITY,
            precision=precision,
        )
        whole = jnp.asarray(framed(np.asarray(image[..., 0]))[..., None])
        arguments = (params, whole, jnp.full((devices, 2), side), MIN_SCORE)
        yield named(
            "detect",
            f"{side}×{side}",
            unit="images",
            items=devices,
            # Of noise all maps are needed; find_peaks itself decides that only when it runs.
            flop=count_flop(partial(map_levels, levels=levels, precision=precision), params, image),
            call=partial(find, *arguments),
        )


def measure(chosen: Sequence[Task], rounds: int, said: Callable[[str], None]) -> list[Measured]:
    """Times tasks of one number of devices and one precision, in turn, so often.

    Args:
      chosen: as `tasks` gives them.
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


def _measured(task: Task, first: float, seconds: list[float], limit_rates: list[float]) -> Measured:
    shares = [task.flop / s / rate for s, rate in zip(seconds, limit_rates, strict=True)]
    per_second = np.quantile([task.items / s for s in seconds], [0.25, 0.5, 0.75]).tolist()
    return Measured(
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
    factors: Any = jnp.dtype(factors_at(precision)).name
    recipe = dataclasses.replace(RECIPES["paper"], batch_size=batch_size, factors=factors)
    replicated = NamedSharding(mesh, P())
    rng = np.random.default_rng(0)
    digits = Dataset(
        rng.integers(0, 256, (TRAIN_EXAMPLES, SIDE, SIDE), np.uint8),
        rng.integers(0, 10, TRAIN_EXAMPLES, np.uint8),
    )
    key = jax.random.key(0)
    initial = initial_state(recipe, key)
    state, digits, key = jax.device_put((initial, digits, key), replicated)
    platform = mesh.devices.flat[0].platform
    steps = STEPS.get(platform, STEPS_ELSEWHERE)
    advance = make_advance(recipe, mesh, looped=steps > 1)
    states: list[TrainState] = [state]

    def call() -> Any:
        with jax.default_matmul_precision(precision.name.lower()):
            state, metrics = advance(states.pop(), digits, key, steps)
        states.append(state)
        return state, metrics

    batch = Batch(_noise(batch_size, SIDE), jnp.zeros(batch_size, jnp.uint8), jnp.ones(batch_size))
    step = partial(train_step, recipe=recipe, mesh=mesh)
    flop = steps * count_flop(step, initial, batch, jax.random.key(0))
    return {"items": steps * batch_size, "flop": flop, "call": call}


def _limit(devices: int, precision: lax.Precision) -> Task:
    """A large product on each device."""
    platform = jax.devices()[0].platform
    side = PRODUCT.get(platform, PRODUCT_ELSEWHERE)
    mesh = Mesh(jax.devices()[:devices], ("data",))
    sharded = NamedSharding(mesh, P("data"))
    factors = factors_at(precision)
    left = jax.device_put(jnp.ones((devices, side, side), factors), sharded)
    product = jax.jit(partial(jnp.matmul, precision=precision, preferred_element_type=jnp.float32))
    flop = 2 * devices * side**3
    call = partial(product, left, left)
    return Task(
        "product", f"{side}³", precision.name.lower(), devices, "products", devices, flop, call
    )


def _classify(params: Params, images: jax.Array, *, precision: lax.Precision) -> jax.Array:
    with jax.default_matmul_precision(precision.name.lower()):
        return classify(params, images, factors=factors_at(precision))


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
