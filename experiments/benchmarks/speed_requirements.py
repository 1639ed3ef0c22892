"""Is the package as fast on a CPU as it is required to be? Compares the last runs with limits.

A run consists of the figures that `training_speed`, `map_speed`, `detection_speed` and `page_speed`
measured at one commit, on one machine, with their default options. All figures except seconds and
memory are ratios of programs that ran in turn. So an hour in which the whole machine is slow does
not change them. Of pages of several sizes the figure of the worst counts.

Command:   python -m experiments.benchmarks.speed_requirements, after those four; `make bench` runs
           all five.
Hardware:  that of the four: 2 CPU cores, otherwise idle.
Time:      a second.
Result:    prints a table of the last runs, adds a run to experiments/results/speed_runs.json unless
           the package has uncommitted changes, and exits with status 1 if something is too slow.
           docs/speed.md shows the last three runs.
"""

import json
import operator
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import tyro

from digits_jax.runtime.files import atomic_write
from experiments.common.provenance import RESULTS

BENCHMARKS = ("training_speed", "map_speed", "detection_speed", "page_speed")
RUNS_FILE = "speed_runs.json"
SHOWN_RUNS = 3  # runs in the table


class Requirement(NamedTuple):
    """The limit that a figure must meet, and the target that it is meant to reach."""

    text: str
    sign: str  # ≥, ≤ or <
    limit: float | None
    target: float | None

    def is_met(self, figure: float) -> bool:
        """Returns whether a figure meets the limit; NaN does not."""
        if self.limit is None:
            return True
        compare = {"≥": operator.ge, "≤": operator.le, "<": operator.lt}[self.sign]
        return bool(compare(figure, self.limit))

    def bound(self, number: float | None) -> str:
        """Formats the limit or the target with its sign; returns "" where there is none."""
        return "" if number is None else f"{self.sign} {number:g}"


REQUIREMENTS = {
    "training_50": Requirement("training at batch 50, speed relative to PyTorch", "≥", 0.85, 1.0),
    "training_256": Requirement("training at batch 256, speed relative to PyTorch", "≥", 0.85, 1.0),
    "maps": Requirement(
        "response maps of 512×512, speed relative to the fastest peer by windows", "≥", 3.0, 4.0
    ),
    "a_trous": Requirement(
        "the same, time relative to PyTorch's à-trous network (not exact)", "≤", 1.25, 1.0
    ),
    "window_2048": Requirement("a window in 2048×2048, time relative to 512×512", "≤", 1.15, 1.05),
    "window_4096": Requirement("a window in 4096×4096, time relative to 512×512", "≤", 1.15, 1.05),
    "detect": Requirement("exhaustive search of 300×300, time relative to its maps", "≤", 1.3, 1.1),
    "separated_windows": Requirement(
        "`detect` in separated digits, speed relative to the exhaustive search", "≥", 30.0, 100.0
    ),
    "separated_rapidocr": Requirement("the same, speed relative to RapidOCR", "≥", 1.5, 4.0),
    "separated_opencv": Requirement(
        "the same, time relative to the OpenCV pipeline", "≤", 3.0, 1.5
    ),
    "overlapping_windows": Requirement(
        "`detect` in overlapping digits, speed relative to the exhaustive search", "≥", 5.0, 15.0
    ),
    "photograph": Requirement(
        "a photograph of 8 megapixels, read, normalised and searched, seconds", "≤", 6.0, 2.0
    ),
    "scan": Requirement("the same of an A4 scan at 300 dpi, seconds", "≤", 8.0, 3.0),
    "scan_memory": Requirement("the scan's peak memory, GiB", "≤", 1.5, None),
    "cold_start": Requirement(
        "cold start of `digits-jax detect` with cached programs, seconds", "≤", 2.5, 1.5
    ),
    "first_start": Requirement(
        "the first start ever, which compiles the programs, seconds", "≤", 15.0, 8.0
    ),
    "share_maps": Requirement("response maps' share of a matrix product's rate", "≥", None, 0.7),
    "share_50": Requirement(
        "training's share of a matrix product's rate, batch 50", "≥", None, 0.45
    ),
    "share_256": Requirement(
        "training's share of a matrix product's rate, batch 256", "≥", None, 0.45
    ),
}


def main(results: Path = RESULTS) -> None:
    """Adds the run that was just measured and prints the table of the last runs.

    Args:
        results: Folder with the benchmarks' results and the runs.
    """
    if jax.default_backend() != "cpu":
        print("The requirements are for a CPU: nothing is compared, and no run is added.")
        return
    run, runs = read_measured_run(results), read_runs(results)
    if run not in runs:
        runs.append(run)
        if "uncommitted" not in run["commit"]:
            with atomic_write(results / RUNS_FILE) as temporary:
                text = json.dumps(runs, indent=2, ensure_ascii=False)
                temporary.write_text(f"{text}\n", encoding="utf-8")
    print(format_table(runs))
    failures = [
        f"{requirement.text}: {run['figures'][name]:.3f}, "
        f"required {requirement.bound(requirement.limit)}"
        for name, requirement in REQUIREMENTS.items()
        if not requirement.is_met(run["figures"][name])
    ]
    if failures:
        sys.exit("\n".join(["slower than required:", *failures]))


def read_measured_run(results: Path = RESULTS) -> dict[str, Any]:
    """Reads the figures that the benchmarks measured last, with their hardware and peers.

    Raises:
      SystemExit: a result is missing or incomplete, or the results are not of one commit and
        machine, or were not measured with the default options.
    """
    try:
        training, maps, detection, pages = (
            json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
            for name in BENCHMARKS
        )
        _check_one_run([training, maps, detection, pages])
        batches = training["batch_size"]
        windows = detection["time_of_a_window"]
        detect = detection["detect_in_times_of_its_maps"]
        sides = {"maps": maps["side"], "windows": windows["first"], "detect": detect["side"]}
        if sides != {"maps": 512, "windows": 512, "detect": 300}:
            sys.exit(f"the requirements are for other sizes of images than the measured {sides}")
        seconds = detection["cold_start"]["seconds_median"]
        return {
            **{name: detection[name] for name in ("date", "commit", "hardware")},
            "versions": {
                name: version
                for result in (detection, training, maps, pages)
                for name, version in result["versions"].items()
            },
            "environment": training["environment"],
            "peers": {
                **{f"batch {size}": batches[size]["peer"] for size in ("50", "256")},
                "maps": maps["fastest_peer"],
            },
            "figures": {
                "training_50": batches["50"]["ratio_median"],
                "training_256": batches["256"]["ratio_median"],
                "maps": maps["times_faster_than_the_fastest_peer"]["median"],
                "a_trous": maps["times_the_time_of_a_trous"]["median"],
                "window_2048": windows["times_as_long"]["2048"]["median"],
                "window_4096": windows["times_as_long"]["4096"]["median"],
                "detect": detect["median"],
                **_page_figures(pages),
                "cold_start": seconds["digits-jax detect"],
                "first_start": seconds["digits-jax detect, first time"],
                "share_maps": maps["share_of_the_rate_of_a_product"],
                "share_50": batches["50"]["share_of_the_rate_of_a_product"],
                "share_256": batches["256"]["share_of_the_rate_of_a_product"],
            },
        }
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing; `make bench` measures all that is needed")
    except KeyError as error:
        sys.exit(f"{error} was not measured; `make bench` measures all that is needed")


def _page_figures(pages: dict[str, Any]) -> dict[str, float]:
    """Reads the figures of `page_speed`; those of separated digits are of the worst page."""
    faster: dict[str, list[float]] = {
        peer: [page["times_faster_than"][peer]["median"] for page in pages["separated"].values()]
        for peer in ("windows", "rapidocr", "opencv")
    }
    return {
        "separated_windows": min(faster["windows"]),
        "separated_rapidocr": min(faster["rapidocr"]),
        "separated_opencv": round(1 / min(faster["opencv"]), 3),
        "overlapping_windows": pages["overlapping"]["times_faster_than"]["windows"]["median"],
        "photograph": pages["photograph"]["seconds_median"],
        "scan": pages["scan"]["seconds_median"],
        "scan_memory": pages["scan"]["peak_resident_gib"],
    }


def _check_one_run(results: list[dict[str, Any]]) -> None:
    """Exits unless the results are of one commit and machine, measured with default options."""
    origins = [[result["commit"], result["hardware"]] for result in results]
    if origins[1:] != origins[:-1]:
        sys.exit(f"the results are not of one commit and machine: {origins}; run `make bench`")
    for name, result in zip(BENCHMARKS, results, strict=True):
        # The second command is from before the benchmarks were modules of a package.
        if result["command"] not in (
            f"python -m experiments.benchmarks.{name}",
            f"python experiments/{name}.py",
        ):
            sys.exit(f"`{result['command']}` has options of its own; run `make bench`")


def read_runs(results: Path = RESULTS) -> list[dict[str, Any]]:
    """Reads all runs, the oldest first."""
    path = results / RUNS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def select_last_runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Selects the last runs on the machine of the newest run."""
    return [run for run in runs if run["hardware"] == runs[-1]["hardware"]][-SHOWN_RUNS:]


def format_table(runs: list[dict[str, Any]]) -> str:
    """Formats the last runs as a Markdown table, the newest in the last column."""
    last = select_last_runs(runs)
    rows = [["", "limit", "target", *(f"{run['date']}, {_short_commit(run)}" for run in last)]]
    for name, requirement in REQUIREMENTS.items():
        figures = (run["figures"].get(name) for run in last)
        cells = ("" if figure is None else f"{figure:.2f}" for figure in figures)
        bounds = [requirement.bound(requirement.limit), requirement.bound(requirement.target)]
        rows.append([requirement.text, *bounds, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    padded = ([c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _short_commit(run: dict[str, Any]) -> str:
    commit, *changes = run["commit"].split()
    return f"{commit[:7]} and changes" if changes else commit[:7]


if __name__ == "__main__":
    tyro.cli(main)
