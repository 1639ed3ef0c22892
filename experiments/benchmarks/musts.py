"""Is everything as fast as it must be on a CPU? The figures just measured, and those before.

A run is what training_speed.py, map_speed.py and detection_speed.py measured at one commit, on one
machine, with their own defaults. But for the seconds of a cold start its figures are ratios of what
ran in turn, in which an hour that is slow for everybody does not show.

Command:   python experiments/musts.py, after those three: `make bench` runs all four.
Hardware:  theirs: 2 CPU cores, otherwise idle.
Time:      a second.
Result:    a table of the last runs, one more run in experiments/results/speed_runs.json unless the
           package has uncommitted changes, and the exit status 1 if something is slower than it
           must be. The last three runs are in the README.
"""

import json
import sys
from typing import Any, NamedTuple

import jax

from digits_jax.runtime.files import atomic_write
from experiments.common.provenance import RESULTS

MEASURED = ("training_speed", "map_speed", "detection_speed")
RUNS = RESULTS / "speed_runs.json"
SHOWN = 3  # runs in the table


class Requirement(NamedTuple):
    """A figure, and what it must be and is meant to be: at least, or at most."""

    what: str
    sign: str  # ≥ or ≤
    must: float | None
    aim: float | None

    def holds(self, figure: float) -> bool:
        if self.must is None:
            return True
        return figure >= self.must if self.sign == "≥" else figure <= self.must


REQUIREMENTS = {
    "training_50": Requirement("training at batch 50, times PyTorch's rate", "≥", 0.85, 1.0),
    "training_256": Requirement("training at batch 256, times PyTorch's rate", "≥", 0.85, 1.0),
    "maps": Requirement(
        "exact maps of 512², times the fastest peer's rate by windows", "≥", 3.0, 4.0
    ),
    "a_trous": Requirement(
        "the same, times the time of PyTorch's à-trous, not exact", "≤", 1.25, 1.0
    ),
    "window_2048": Requirement("a window of 2048², times the time of one of 512²", "≤", 1.15, 1.05),
    "window_4096": Requirement("a window of 4096², times the time of one of 512²", "≤", 1.15, 1.05),
    "detect": Requirement("`detect` in 300², times the time of the maps it needs", "≤", 1.3, 1.1),
    "cold_start": Requirement(
        "a cold `digits-jax detect`, seconds, its programs cached", "≤", 5.0, None
    ),
    "share_maps": Requirement("maps' share of the rate of a matrix product", "≥", None, 0.7),
    "share_50": Requirement("training's share of it at batch 50", "≥", None, 0.45),
    "share_256": Requirement("training's share of it at batch 256", "≥", None, 0.45),
}


def main() -> None:
    """Adds the run, prints the table."""
    if jax.default_backend() != "cpu":
        print("What must hold is for a CPU alone: nothing is compared, and nothing kept.")
        return
    run, runs = measured(), read_runs()
    if run not in runs:
        runs.append(run)
        if "uncommitted" not in run["commit"]:
            with atomic_write(RUNS) as temporary:
                text = json.dumps(runs, indent=2, ensure_ascii=False)
                temporary.write_text(f"{text}\n", encoding="utf-8")
    print(table(runs))
    slow = [
        f"{must.what}: {run['figures'][name]:.3f}, must be {_bound(must, must.must)}"
        for name, must in REQUIREMENTS.items()
        if not must.holds(run["figures"][name])
    ]
    if slow:
        sys.exit("\n".join(["slower than it must be:", *slow]))


def measured() -> dict[str, Any]:
    """The figures of the last run, what it ran on and against whom.

    Raises:
      SystemExit: the experiments' results are not of one commit and machine, or not by default.
    """
    try:
        training, maps, detection = (
            json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in MEASURED
        )
        made = [[r["commit"], r["hardware"]] for r in (training, maps, detection)]
        if made[1:] != made[:-1]:
            sys.exit(f"these are not of one commit and machine: {made}; `make bench` is one run")
        commands = [r["command"] for r in (training, maps, detection)]
        if commands != [f"python experiments/benchmarks/{name}.py" for name in MEASURED]:
            sys.exit(f"these have options of their own: {commands}; `make bench` has none")
        batches = training["batch_size"]
        windows = detection["time_of_a_window"]
        pyramid = detection["detect_in_times_of_its_maps"]
        asked = {"maps of": maps["side"], "windows of": windows["first"], "in": pyramid["side"]}
        if asked != {"maps of": 512, "windows of": 512, "in": 300}:
            sys.exit(f"measured at other sizes than what must hold is for: {asked}")
        return {
            **{name: detection[name] for name in ("date", "commit", "hardware")},
            "versions": {**detection["versions"], **training["versions"], **maps["versions"]},
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
                "detect": pyramid["median"],
                "cold_start": detection["cold_start"]["seconds_median"]["digits-jax detect"],
                "share_maps": maps["share_of_the_rate_of_a_product"],
                "share_50": batches["50"]["share_of_the_rate_of_a_product"],
                "share_256": batches["256"]["share_of_the_rate_of_a_product"],
            },
        }
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing; `make bench` measures all that is needed")
    except KeyError as error:
        sys.exit(f"{error} was not measured; `make bench` measures all that is needed")


def read_runs() -> list[dict[str, Any]]:
    """All that are kept, the oldest first."""
    return json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else []


def last_runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last few, of those on the machine of the newest."""
    return [run for run in runs if run["hardware"] == runs[-1]["hardware"]][-SHOWN:]


def table(runs: list[dict[str, Any]]) -> str:
    """The last runs as Markdown, the newest last."""
    last = last_runs(runs)
    rows = [["", "must", "aim", *(f"{run['date']}, {_commit(run)}" for run in last)]]
    for name, must in REQUIREMENTS.items():
        figures = (run["figures"].get(name) for run in last)
        cells = ("" if figure is None else f"{figure:.2f}" for figure in figures)
        rows.append([must.what, _bound(must, must.must), _bound(must, must.aim), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    padded = ([c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _commit(run: dict[str, Any]) -> str:
    commit, *changes = run["commit"].split()
    return f"{commit[:7]} and changes" if changes else commit[:7]


def _bound(must: Requirement, bound: float | None) -> str:
    return "" if bound is None else f"{must.sign} {bound:g}"


if __name__ == "__main__":
    main()
