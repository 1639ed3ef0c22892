"""The command `digits-jax benchmark`."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from json import dumps, loads
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro
from jax import lax

from digits_jax.cli.benchmark_report import check_plot_format, format_table, plot_throughput
from digits_jax.eval.tasks import make_tasks
from digits_jax.eval.throughput import Measurement, device_counts, measure, to_rows
from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file
from digits_jax.runtime.hardware import processor_name, usable_cores
from digits_jax.runtime.progress import log, progress

PACKAGES = ("digits-jax", "jax", "jaxlib", "flax", "optax", "numpy")  # whose versions are reported

Numbers = Annotated[tuple[int, ...], tyro.conf.arg(metavar="N …")]
Precisions = Annotated[
    tuple[Literal["highest", "high", "default"], ...], tyro.conf.arg(metavar="PRECISION …")
]


def benchmark(
    *,
    devices: Annotated[
        tuple[int, ...],
        tyro.conf.arg(metavar="N …", help_behavior_hint="(default: 1, 2, 4, … and all devices)"),
    ] = (),
    batch_size: Numbers = (50, 256),
    image_size: Numbers = (300,),
    precision: Precisions = ("highest",),
    rounds: int = 5,
    json: bool = False,
    plot: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: no picture)")
    ] = None,
) -> None:
    """Measure the throughput of training, classification, response maps and detection.

    Every task is called once to compile it, and then once a round. The table on standard output
    holds medians over the rounds. On a machine with an accelerator the CPU is measured too, in
    another process. `detect` is the exhaustive search, `detect-components` the default one.

    Args:
        devices: Numbers of devices to measure on.
        batch_size: Batch sizes of training and classification, in digits. Where the devices cannot
            share a batch evenly, its size is left out. If there is any, `standard` trains as well,
            with its own batch.
        image_size: Sides of the square images for response maps and detection, in pixels, at least
            28.
        precision: Precisions of the matrix products: `highest` multiplies in float32, `default` in
            bfloat16, and `high` lies between them.
        rounds: Number of timed calls of each task, at least 1.
        json: Print one JSON object instead of a table.
        plot: File to write a picture of the throughput over the number of devices to. Its suffix
            selects the format: .png or another one that Matplotlib writes.
    """
    _check_options(devices, batch_size, image_size, rounds)
    if plot:
        check_output_file(plot)
        check_plot_format(plot)
    counts = devices or device_counts(len(jax.devices()))
    params = load_pretrained()
    settings = [(count, name) for count in counts for name in precision]
    measurements: list[Measurement] = []
    for count, name in progress(settings, "setting", len(settings)):
        tasks = make_tasks(params, count, batch_size, image_size, lax.Precision[name.upper()])
        measurements += measure(list(tasks), rounds, log)
    report = {**_describe_environment(), "rounds": rounds, "rows": to_rows(measurements)}
    if jax.devices()[0].platform != "cpu":
        report["rows"] += _measure_on_cpu(batch_size, image_size, rounds)
    if plot:
        with atomic_write(plot) as temporary:
            plot_throughput(report["rows"], temporary)
    print(dumps(report) if json else format_table(report))


def _check_options(
    devices: Sequence[int], batch_size: Sequence[int], image_size: Sequence[int], rounds: int
) -> None:
    """Checks the options before any work.

    Raises:
      ArgumentError: an option is outside its range, or there is nothing to measure.
    """
    for count in devices:
        check_range("--devices", count, 1, len(jax.devices()))
    for size in batch_size:
        check_range("--batch-size", size, 1, unit="digits")
    for side in image_size:
        check_range("--image-size", side, INPUT_SIDE, unit="px")
    check_range("--rounds", rounds, 1)
    if not batch_size and not image_size:
        raise ArgumentError("expected a --batch-size or an --image-size to measure; got neither")
    for count in devices:
        if not image_size and all(size % count for size in batch_size):
            raise ArgumentError(
                f"expected a --batch-size that {count} devices can share evenly; got "
                f"{', '.join(map(str, batch_size))}"
            )


def _describe_environment() -> dict[str, Any]:
    """Returns date, versions, processor and devices of the measurement."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "processor": processor_name(),
        "cores": usable_cores(),
        "devices": [device.device_kind for device in jax.devices()],
    }


def _measure_on_cpu(
    batch_size: Sequence[int], image_size: Sequence[int], rounds: int
) -> list[dict[str, Any]]:
    """Runs this command on the CPU in another process, and returns its rows."""
    options = {"--batch-size": batch_size, "--image-size": image_size, "--rounds": [rounds]}
    words = [str(word) for option, values in options.items() for word in (option, *values)]
    log("measuring on the CPU")
    process = subprocess.run(
        [sys.argv[0], "benchmark", "--json", *words],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    rows: list[dict[str, Any]] = loads(process.stdout)["rows"]
    return rows
