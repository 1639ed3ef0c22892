"""The tables of docs/scaling.md: what the model says of many devices, and how it was checked."""

import statistics
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import (
    Row,
    provenance_of,
    source_list,
    table_header,
    table_row,
)
from experiments.studies.scaling_model import (
    GRADIENT_BYTES,
    NETWORKS,
    ComputeTime,
    all_reduce_seconds,
    batch_for_share,
    checkpoint_share,
    fewest_dominated,
    fit_compute_time,
    images_per_second,
)

GPU = "NVIDIA H100 80GB HBM3"
SMALL_BATCH, LARGE_BATCH = 256, 1024  # of the runs of `paper` that the line goes through
COUNTS = tuple(2**k for k in range(9))  # 1 to 256 devices
STEPS_PER_CHECKPOINT = 1000  # of `paper`
NEGLIGIBLE = 0.1  # share of a step
# A TPU's computing was never measured: only the time of its all-reduce can be told.
NVLINK, ETHERNET, _ = NETWORKS


def render_weak_scaling(results: Path = RESULTS) -> str:
    """Renders images a second with the batch of `paper` on each device, on each network."""
    compute = compute_time(results)
    one = images_per_second(1, LARGE_BATCH, compute, NVLINK)
    lines = []
    for count in COUNTS:
        cells = []
        for network in NETWORKS:
            cells.append(f"{1e3 * all_reduce_seconds(count, GRADIENT_BYTES, network):.2f}")
            if network in (NVLINK, ETHERNET):
                rate = images_per_second(count, LARGE_BATCH, compute, network)
                cells += [f"{rate / 1e6:.2f}", f"{rate / count / one:.0%}"]
        lines.append(table_row(str(count), *cells))
    titles = [
        title
        for network in (NVLINK, ETHERNET)
        for title in (f"{network.name}: all-reduce, ms", "million images/s", "efficiency")
    ]
    header = table_header("devices", *titles, f"{NETWORKS[2].name}: all-reduce, ms")
    return "\n".join([*header, *lines, *_sources(results)])


def render_strong_scaling(results: Path = RESULTS) -> str:
    """Renders images a second with the batch of `paper` shared out over all devices."""
    compute = compute_time(results)
    one = images_per_second(1, LARGE_BATCH, compute, NVLINK)
    lines = []
    for count in COUNTS:
        batch, cells = LARGE_BATCH / count, []
        for network in (NVLINK, ETHERNET):
            rate = images_per_second(count, batch, compute, network)
            cells += [f"{rate / 1e6:.2f}", f"{rate / one:.2f}"]
        lines.append(table_row(str(count), f"{batch:g}", *cells))
    titles = [
        title
        for network in (NVLINK, ETHERNET)
        for title in (f"{network.name}: million images/s", "times one device")
    ]
    return "\n".join([*table_header("devices", "images on each", *titles), *lines])


def render_limits(results: Path = RESULTS) -> str:
    """Renders where the all-reduce takes as long as the rest of a step, and where it does not."""
    compute, most = compute_time(results), COUNTS[-1]
    lines = []
    for network in (NVLINK, ETHERNET):
        first = fewest_dominated(COUNTS, LARGE_BATCH, compute, network)
        shared = next(
            count
            for count in COUNTS
            if fewest_dominated([count], LARGE_BATCH / count, compute, network)
        )
        seconds = all_reduce_seconds(most, GRADIENT_BYTES, network)
        batch = batch_for_share(NEGLIGIBLE, seconds, compute)
        cells = (str(first or f"more than {most}"), str(shared), f"{batch:,.0f}")
        lines.append(table_row(network.name, *cells))
    header = table_header(
        "network",
        f"{LARGE_BATCH:,} images on each device: dominates from",
        f"{LARGE_BATCH:,} images in all: dominates from",
        f"images on each of {most} devices for a share of {NEGLIGIBLE:.0%}",
    )
    return "\n".join([*header, *lines])


def render_checkpoints(results: Path = RESULTS) -> str:
    """Renders the share of a run's time that checkpoints take."""
    check = read_result("scaling_check", results)
    save = check["milliseconds_median"]["save"]["1"] / 1e3
    step = compute_time(results).step_seconds(LARGE_BATCH)
    lines = []
    for steps in (STEPS_PER_CHECKPOINT, 10 * STEPS_PER_CHECKPOINT):
        share = checkpoint_share(save, steps, step)
        lines.append(table_row(f"{steps:,}", f"{save:.2f}", f"{steps * step:.2f}", f"{share:.0%}"))
    header = table_header("steps between", "a save, s", "these steps, s", "share of the time")
    return "\n".join([*header, *lines])


def render_scaling_check(results: Path = RESULTS) -> str:
    """Renders the step times on virtual devices beside those of the model."""
    check = read_result("scaling_check", results)
    lines = []
    for kind, prefix in (("wall", ""), ("processor", "cpu_")):
        medians = check[f"{prefix}milliseconds_median"]
        for count, ratio in check[f"{prefix}predicted_over_measured"].items():
            times = [f"{medians[name][count]:.1f}" for name in ("step", "all_reduce", "dispatch")]
            spread = f"{ratio['least']:.2f}–{ratio['most']:.2f}"
            lines.append(table_row(kind, count, *times, f"{ratio['median']:.2f}", spread))
    header = table_header(
        "time",
        "devices",
        "step, ms",
        "all-reduce, ms",
        "dispatch, ms",
        "model / measured",
        "of the rounds",
    )
    footer = f"{provenance_of(check)}; beside it: {check['beside']}"
    return "\n".join([*header, *lines, *source_list([footer])])


def compute_time(results: Path = RESULTS) -> ComputeTime:
    """Fits the time of a step on one GPU to the runs of `paper` at two batch sizes."""
    small, large = _gpu_runs(results)
    return fit_compute_time(SMALL_BATCH, _median_rate(small), LARGE_BATCH, _median_rate(large))


def _median_rate(runs: Sequence[Row]) -> float:
    return statistics.median(run["images_per_second_median"] for run in runs)


@cache
def _gpu_runs(results: Path) -> tuple[list[Row], list[Row]]:
    """Reads the runs at the small and at the large batch on a GPU."""
    small, large = (
        [run for run in read_result(name, results)["runs"] if run["hardware"]["devices"] == [GPU]]
        for name in ("accuracy_paper_256", "accuracy_paper")
    )
    return small, large


def _sources(results: Path) -> list[str]:
    compute = compute_time(results)
    lines = []
    for batch, runs in zip((SMALL_BATCH, LARGE_BATCH), _gpu_runs(results), strict=True):
        seeds = ", ".join(str(run["seed"]) for run in runs)
        origin = "; ".join(dict.fromkeys(map(provenance_of, runs)))
        lines.append(
            f"one device at batch {batch:,}: {_median_rate(runs):,.0f} images/s, the median of "
            f"seeds {seeds}; {origin}"
        )
    lines.append(
        f"so a = {1e3 * compute.fixed_seconds:.3f} ms and b = "
        f"{1e6 * compute.seconds_per_image:.3f} µs"
    )
    return source_list(lines)
