"""Is everything as fast as it must be? The figures just measured, and those of the runs before.

A run is what training_speed.py, map_speed.py and detection_speed.py measured one after the other at
one commit. Its figures are ratios of what ran in turn, so that a slow hour of the machine does not
show in them, but for the seconds of a cold start.

Command:   python experiments/musts.py, after those three: `make bench` runs all four.
Hardware:  theirs: 2 CPU cores, otherwise idle.
Time:      a second.
Result:    a table, one more run in experiments/results/speed_runs.json, and the exit status 1 if
           something is slower than it must be. The last three runs are in the README.
"""

import json
import sys
from typing import Any, NamedTuple

from provenance import RESULTS

from digits_jax.outputs import replacing

MEASURED = ("training_speed", "map_speed", "detection_speed")
RUNS = RESULTS / "speed_runs.json"
SHOWN = 3  # runs in the table


class Must(NamedTuple):
    """A figure, and what it must be and is meant to be: at least, or at most."""

    what: str
    sign: str  # ≥ or ≤
    must: float | None
    aim: float | None

    def holds(self, figure: float) -> bool:
        if self.must is None:
            return True
        return figure >= self.must if self.sign == "≥" else figure <= self.must


MUSTS = {
    "training_50": Must("training at batch 50, times PyTorch's rate", "≥", 0.85, 1.0),
    "training_256": Must("training at batch 256, times PyTorch's rate", "≥", 0.85, 1.0),
    "maps": Must("exact maps of 512², times the rate of the fastest by windows", "≥", 3.0, 4.0),
    "a_trous": Must("the same, times the time of PyTorch's à-trous, not exact", "≤", 1.25, 1.0),
    "window_2048": Must("a window of 2048², times the time of one of 512²", "≤", 1.15, 1.05),
    "window_4096": Must("a window of 4096², times the time of one of 512²", "≤", 1.15, 1.05),
    "detect": Must("`detect` in 300², times the time of the maps it needs", "≤", 1.3, 1.1),
    "cold_start": Must("seconds of `digits-jax detect` from a cold process", "≤", 5.0, None),
    "share_maps": Must("maps' share of the rate of a matrix product", "≥", None, 0.7),
    "share_50": Must("training's share of it at batch 50", "≥", None, 0.45),
    "share_256": Must("training's share of it at batch 256", "≥", None, 0.45),
}


def main() -> None:
    """Adds the run, prints the table."""
    run = measured()
    runs = [*read_runs(), run]
    with replacing(RUNS) as temporary:
        temporary.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    print(table(runs))
    slow = [must.what for name, must in MUSTS.items() if not must.holds(run["figures"][name])]
    if slow:
        sys.exit(f"slower than it must be: {'; '.join(slow)}")


def measured() -> dict[str, Any]:
    """The figures of the last run, and what it ran on.

    Raises:
      SystemExit: its experiments are of several commits, or one is missing.
    """
    try:
        training, maps, detection = (
            json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in MEASURED
        )
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing: `make bench` runs all that is needed")
    commits = {result["commit"] for result in (training, maps, detection)}
    if len(commits) > 1:
        sys.exit(f"measured at several commits ({', '.join(sorted(commits))}): run `make bench`")
    batches = training["batch_size"]
    windows = detection["time_of_a_window"]["times_as_long"]
    return {
        **{name: detection[name] for name in ("date", "commit", "hardware")},
        "versions": {**detection["versions"], **training["versions"], **maps["versions"]},
        "environment": training["environment"],
        "figures": {
            "training_50": batches["50"]["ratio_median"],
            "training_256": batches["256"]["ratio_median"],
            "maps": maps["times_faster_than_the_fastest_peer"]["median"],
            "a_trous": maps["times_the_time_of_a_trous"]["median"],
            "window_2048": windows["2048"]["median"],
            "window_4096": windows["4096"]["median"],
            "detect": detection["detect_in_times_of_its_maps"]["median"],
            "cold_start": detection["cold_start"]["seconds_median"]["digits-jax detect"],
            "share_maps": maps["share_of_the_rate_of_a_product"],
            "share_50": batches["50"]["share_of_the_rate_of_a_product"],
            "share_256": batches["256"]["share_of_the_rate_of_a_product"],
        },
    }


def read_runs() -> list[dict[str, Any]]:
    """All that are kept, the oldest first."""
    return json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else []


def table(runs: list[dict[str, Any]]) -> str:
    """The last runs as Markdown, the newest last."""
    last = runs[-SHOWN:]
    rows = [["", "must", "aim", *(f"{run['date']}, {run['commit'][:7]}" for run in last)]]
    for name, must in MUSTS.items():
        figures = (f"{run['figures'][name]:.2f}" for run in last)
        rows.append([must.what, _bound(must, must.must), _bound(must, must.aim), *figures])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    padded = ([c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _bound(must: Must, bound: float | None) -> str:
    return "" if bound is None else f"{must.sign} {bound:g}"


if __name__ == "__main__":
    main()
