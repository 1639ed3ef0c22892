"""Times training, classification, response maps and detection on this machine's devices."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from digits_jax.eval.tasks import Task, matmul_task


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
    matmul = matmul_task(tasks[0].devices, lax.Precision[tasks[0].precision.upper()])
    first_seconds = {}
    for task in (matmul, *tasks):
        on_compile(f"compiling {task.name}, {task.size}, {task.precision}, {task.devices} devices")
        first_seconds[task] = _time_call(task)
    seconds: dict[Task, list[float]] = {task: [] for task in first_seconds}
    for _ in range(rounds):
        for task, times in seconds.items():
            times.append(_time_call(task))
    matmul_rates = [matmul.count_flop() / s for s in seconds.pop(matmul)]
    return [
        _to_measurement(task, first_seconds[task], times, matmul_rates)
        for task, times in seconds.items()
    ]


def to_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Returns the measurements on the default platform as JSON objects.

    `scaling_efficiency` is the throughput per device divided by the throughput of one device.
    """

    def setting(measurement: Measurement) -> tuple[str, str, str]:
        return measurement.task, measurement.size, measurement.precision

    one_device = {setting(m): m.per_second for m in measurements if m.devices == 1}
    rows = []
    for measurement in measurements:
        baseline = one_device.get(setting(measurement))
        per_device = measurement.per_second / measurement.devices
        rows.append(
            {
                "platform": jax.devices()[0].platform,
                **dataclasses.asdict(measurement),
                "share_of_limit": measurement.matmul_share,  # older name of the same figure
                "scaling_efficiency": round(per_device / baseline, 3) if baseline else None,
            }
        )
    return rows


def device_counts(available: int) -> list[int]:
    """Returns the powers of two up to the number of devices, and that number."""
    powers = {2**k for k in range(available.bit_length()) if 2**k <= available}
    return sorted(powers | {available})


def _to_measurement(
    task: Task, first_seconds: float, seconds: list[float], matmul_rates: list[float]
) -> Measurement:
    flop = task.count_flop()
    shares = [flop / s / rate for s, rate in zip(seconds, matmul_rates, strict=True)]
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
        gflop=round(flop / 1e9, 3),
        matmul_share=round(statistics.median(shares), 3),
        peak_memory_gib=round(_peak_memory_bytes() / 2**30, 2),
    )


def _time_call(task: Task) -> float:
    """Returns the seconds that a call takes until its results are ready."""
    start = time.perf_counter()
    jax.block_until_ready(task.call())
    return time.perf_counter() - start


def _peak_memory_bytes() -> int:
    """Returns the most memory that was in use up to now: the process's on CPU, else a device's."""
    if jax.devices()[0].platform == "cpu":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    stats = [device.memory_stats() or {} for device in jax.devices()]
    return max(int(device_stats.get("peak_bytes_in_use", 0)) for device_stats in stats)
