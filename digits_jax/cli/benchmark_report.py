"""The report of `digits-jax benchmark`: a table and a plot of the measured rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digits_jax.runtime.errors import ArgumentError

COLUMNS = (
    "task",
    "size",
    "on",
    "precision",
    "per second",
    "quartiles",
    "of matmul",
    "scaling",
    "compiled in",
    "memory",
)


def format_table(report: dict[str, Any]) -> str:
    """Returns the rows of a report as an aligned text table, with the environment below it.

    Args:
      report: the JSON object that `digits-jax benchmark --json` prints.
    """
    lines = [COLUMNS, *(_to_cells(row) for row in report["rows"])]
    widths = [max(len(line[k]) for line in lines) for k in range(len(COLUMNS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    hardware = f"{', '.join(report['devices'])}; {report['cores']} cores of {report['processor']}"
    return "\n".join([*table, "", f"{hardware}; {versions}"])


def _to_cells(row: dict[str, Any]) -> tuple[str, ...]:
    lower, upper = row["per_second_quartiles"]
    scaling = row["scaling_efficiency"]
    return (
        row["task"],
        row["size"],
        f"{row['devices']} {row['platform']}",
        row["precision"],
        f"{row['per_second']:,.4g} {row['unit']}",
        f"{lower:,.4g}–{upper:,.4g}",
        f"{row['matmul_share']:.0%}",
        "" if scaling is None else f"{scaling:.0%}",
        f"{row['compile_seconds']:.1f} s",
        f"{row['peak_memory_gib']:.2f} GiB",
    )


def check_plot_format(path: Path) -> None:
    """Checks that Matplotlib can write a picture with this suffix.

    Raises:
      ArgumentError: the suffix belongs to no format that Matplotlib writes.
    """
    from matplotlib.backend_bases import FigureCanvasBase  # slow to import

    formats = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in formats:
        raise ArgumentError(
            f"expected --plot to end in a picture format ({', '.join(formats)}); got {path}"
        )


def plot_throughput(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Plots the throughput of each task over the number of devices.

    A dotted line shows a throughput in proportion to the number of devices.

    Args:
      rows: the rows of a report.
      path: the picture to write; its suffix selects the format.
    """
    from matplotlib.figure import Figure  # slow to import

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure((4 * len(tasks), 4), layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        task_rows = [row for row in rows if row["task"] == task]
        series: dict[str, list[tuple[int, float]]] = {}
        for row in task_rows:
            label = f"{row['size']}, {row['platform']}, {row['precision']}"
            series.setdefault(label, []).append((row["devices"], row["per_second"]))
        for label, points in series.items():
            devices, rates = zip(*points, strict=True)
            (line,) = axes.plot(devices, rates, "o-", label=label)
            proportional = [rates[0] * count / devices[0] for count in devices]
            axes.plot(devices, proportional, ":", color=line.get_color())
        axes.set(title=task, xlabel="devices", ylabel=f"{task_rows[-1]['unit']} a second")
        axes.set_xticks(sorted({row["devices"] for row in rows}))
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    figure.savefig(path)
