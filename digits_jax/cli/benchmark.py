"""The command `digits-jax benchmark`."""

import dataclasses
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

from digits_jax.eval.throughput import Measurement, make_tasks, measure
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write, check_output_file
from digits_jax.runtime.hardware import processor_name
from digits_jax.runtime.progress import log, progress

Numbers = Annotated[tuple[int, ...], tyro.conf.arg(metavar="N …")]
Precisions = Annotated[
    tuple[Literal["highest", "high", "default"], ...], tyro.conf.arg(metavar="PRECISION …")
]


def benchmark(
    *,
    devices: Numbers = (),
    batch_size: Numbers = (50, 256),
    image_size: Numbers = (300,),
    precision: Precisions = ("highest",),
    rounds: int = 5,
    json: bool = False,
    plot: Path | None = None,
) -> None:
    """Time training, classification, maps and detection on the devices that there are.

    Everything runs once to be compiled, and then in turn; figures are medians. Where there is an
    accelerator the processor is timed as well, in a process of its own.

    Args:
        devices: Numbers of devices; by default 1, 2, 4, … and all.
        batch_size: Digits in a batch of training and classification.
        image_size: Sides in pixels of the square images for maps and detection.
        precision: Of the products: highest is float32, default has factors of bfloat16.
        rounds: How often each is timed.
        json: Print one JSON object instead of a table.
        plot: File for a picture of the throughputs, PNG or any other that Matplotlib writes.
    """
    _check(devices, batch_size, image_size, rounds)
    if plot:
        check_output_file(plot)
    counts = devices or _counts(len(jax.devices()))
    params = load_pretrained()
    settings = [(c, p) for c in counts for p in precision]
    rows = [
        row
        for count, name in progress(settings, "setting", len(settings))
        for row in measure(
            list(make_tasks(params, count, batch_size, image_size, lax.Precision[name.upper()])),
            rounds,
            log,
        )
    ]
    result = {**_made(), "rounds": rounds, "rows": _described(rows)}
    if jax.devices()[0].platform != "cpu":
        result["rows"] += _on_cpu(batch_size, image_size, rounds)
    if plot:
        with atomic_write(plot) as temporary:
            _draw(result["rows"], temporary)
    print(dumps(result) if json else _table(result))


def _check(
    devices: Sequence[int], batch_size: Sequence[int], image_size: Sequence[int], rounds: int
) -> None:
    there = len(jax.devices())
    if any(not 1 <= count <= there for count in devices):
        raise ArgumentError(f"expected --devices of 1 to {there}, which there are; got {devices}")
    if min(batch_size, default=1) < 1 or rounds < 1:
        raise ArgumentError("expected --batch-size and --rounds of 1 or more")
    if min(image_size, default=28) < 28:
        raise ArgumentError(f"expected --image-size of 28 pixels or more; got {image_size}")
    if not batch_size and not image_size:
        raise ArgumentError("expected a --batch-size or an --image-size; got neither")


def _counts(there: int) -> list[int]:
    """1, 2, 4, … and all."""
    return sorted({2**k for k in range(there.bit_length()) if 2**k <= there} | {there})


def _made() -> dict[str, Any]:
    """When, with what and on what."""
    names = ("digits-jax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in names},
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "devices": [device.device_kind for device in jax.devices()],
    }


def _described(rows: Sequence[Measurement]) -> list[dict[str, Any]]:
    """With the platform, and how well each scales from one device."""
    alone = {
        (row.task, row.size, row.precision): row.per_second for row in rows if row.devices == 1
    }
    described = []
    for row in rows:
        one = alone.get((row.task, row.size, row.precision))
        efficiency = round(row.per_second / row.devices / one, 3) if one else None
        kind = jax.devices()[0].platform
        described.append(
            {"platform": kind, **dataclasses.asdict(row), "scaling_efficiency": efficiency}
        )
    return described


def _on_cpu(
    batch_size: Sequence[int], image_size: Sequence[int], rounds: int
) -> list[dict[str, Any]]:
    options = {"--batch-size": batch_size, "--image-size": image_size, "--rounds": [rounds]}
    command = [sys.argv[0], "benchmark", "--json"]
    command += [str(word) for option, values in options.items() for word in (option, *values)]
    log("and on the processor")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    rows: list[dict[str, Any]] = loads(done.stdout)["rows"]
    return rows


def _table(result: dict[str, Any]) -> str:
    titles = ("task", "size", "on", "precision", "per second", "spread", "of limit", "scaling",
              "compiled in", "memory")  # fmt: skip
    lines = [titles, *(_cells(row) for row in result["rows"])]
    widths = [max(len(line[k]) for line in lines) for k in range(len(titles))]
    text = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
    ]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    hardware = f"{', '.join(result['devices'])}; {result['cores']} cores of {result['processor']}"
    return "\n".join([*(line.rstrip() for line in text), "", f"{hardware}; {versions}"])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = row["per_second_quartiles"]
    scaling = row["scaling_efficiency"]
    return (
        row["task"],
        row["size"],
        f"{row['devices']} {row['platform']}",
        row["precision"],
        f"{row['per_second']:,.4g} {row['unit']}",
        f"{low:,.4g}–{high:,.4g}",
        f"{row['share_of_limit']:.0%}",
        "" if scaling is None else f"{scaling:.0%}",
        f"{row['compile_seconds']:.1f} s",
        f"{row['peak_memory_gib']:.2f} GiB",
    )


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel for each task: throughput over the number of devices, and perfect scaling dotted."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure((4 * len(names), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        curves: dict[str, list[tuple[int, float]]] = {}
        for row in (row for row in rows if row["task"] == name):
            label = f"{row['size']}, {row['platform']}, {row['precision']}"
            curves.setdefault(label, []).append((row["devices"], row["per_second"]))
            axes.set(title=name, xlabel="devices", ylabel=f"{row['unit']} a second")
        for label, points in curves.items():
            counts, rates = zip(*points, strict=True)
            (line,) = axes.plot(counts, rates, "o-", label=label)
            perfect = [rates[0] * count / counts[0] for count in counts]
            axes.plot(counts, perfect, ":", color=line.get_color())
        axes.set_xticks(sorted({row["devices"] for row in rows}))
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    figure.savefig(path)
