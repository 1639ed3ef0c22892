"""Writes the README's tables of results from the JSON under experiments/results/.

Command:   python experiments/readme.py
Hardware:  any.
Time:      a second.
Result:    the parts of README.md between their markers.
"""

import json
from pathlib import Path
from typing import Any

from experiments.benchmarks.musts import last_runs, read_runs, table
from experiments.common.provenance import RESULTS

README = Path(__file__).parents[2] / "README.md"
PARTS = ("training", "detection", "speed")  # each between <!-- NAME: … --> and <!-- end of NAME -->


RUNS = {  # result's name: what the table calls it
    "accuracy_standard": "`standard`",
    "accuracy_paper": "`paper`",
    "accuracy_paper_256": "`paper` with batch 256",
    "accuracy_without_background": "digits alone",
}


def training() -> str:
    """The training results as Markdown."""
    lines = [
        "| run | on | test accuracy | errors | validation | by iteration 1000 | minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    named = [(name, run) for file, name in RUNS.items() for run in _runs(file)]
    lines += [_row(name, run) for name, run in named]
    lines.append("")
    made: dict[tuple[str, str], list[str]] = {}
    for name, run in named:
        made.setdefault((name, _made(run)), []).append(str(run["seed"]))
    lines += [f"- {name}, seed {', '.join(seeds)}: {how}." for (name, how), seeds in made.items()]
    return "\n".join(lines)


def detection() -> str:
    """The detection results as Markdown."""
    rows = _read("detection").get("rows", [])
    if not rows:
        return ""
    scenes = [row for row in rows if "f1" in row]
    figures = ("precision", "recall", "f1", "right_count", "ap50", "ap50_voc07")
    lines = [
        "| weights | sizes | scenes | precision | recall | F1 | right count | AP50 | AP50, VOC07 "
        "| s an image |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['weights']} | {_sizes(row)} | {row['scenes']} of `{row['images']}` | "
        + " | ".join(f"{row[figure]:.3f}" for figure in figures)
        + f" | {row['seconds_per_image']:.1f} |"
        for row in scenes
    ]
    lines += [
        "",
        "| weights | sizes | images without a digit | megapixels | detections | a megapixel |",
        "|---|---|---|---|---|---|",
    ]
    for row in (row for row in rows if "megapixels" in row):
        found = row["megapixels"] * row["false_per_megapixel"]
        lines.append(
            f"| {row['weights']} | {_sizes(row)} | {row['images']} | {row['megapixels']:.2f} | "
            f"{found:.0f} | {row['false_per_megapixel']:.1f} |"
        )
    made = {f"- {row['weights']}: {_made(row)}." for row in rows}
    if foreign := _read("foreign"):
        found = " and ".join(f"{row['f1']:.3f} of {row['digits']}" for row in foreign["rows"])
        made.add(f"- F1 on pages of digits that are not MNIST's: {found}; {_made(foreign)}.")
    if memory := _read("detection_memory"):
        made.add(
            f"- {memory['question']} {memory['peak_resident_gib']:.2f} GiB with sizes "
            f"{memory['sizes'][0]:g}–{memory['sizes'][1]:g}, with {memory['rows_of_scenes']} rows "
            f"of digits' scenes, 300 px each; "
            f"{_made(memory)}."
        )
    return "\n".join([*lines, "", *sorted(made)])


def speed() -> str:
    """The last runs of `make bench` as Markdown."""
    runs = read_runs()
    made = dict.fromkeys(
        f"- {_made({**run, 'command': 'make bench'})}; the fastest peers: "
        + ", ".join(f"{peer} ({of})" for of, peer in run["peers"].items())
        + "."
        for run in last_runs(runs)
    )
    return "\n".join([table(runs), "", *made])


def _sizes(row: dict[str, Any]) -> str:
    low, high = row["sizes"]
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def _row(name: str, run: dict[str, Any]) -> str:
    by_step = run["test_accuracy_by_step"]
    early = by_step[max((step for step in by_step if int(step) <= 1000), key=int)]
    return (
        f"| {name}, seed {run['seed']} | {_device(run)} | {run['test_accuracy']:.2%} "
        f"| {run['test_errors']} | "
        f"{run['validation_accuracy']:.2%} | {early:.1%} | {run['training_minutes']:.1f} |"
    )


def _device(result: dict[str, Any]) -> str:
    hardware = result["hardware"]
    if hardware["devices"] == ["cpu"]:
        return f"{hardware['cores']} cores of an {hardware['processor']}"
    return " + ".join(hardware["devices"])


def _made(result: dict[str, Any]) -> str:
    return (
        f"{_device(result)}, jax {result['versions']['jax']}, commit {result['commit']}, "
        f"{result['date']}, `{result['command']}`"
    )


def _runs(name: str) -> list[dict[str, Any]]:
    return _read(name).get("runs", [])


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for part, write in zip(PARTS, (training, detection, speed), strict=True):
        begin, end = f"<!-- {part}: written by experiments/readme.py -->", f"<!-- end of {part} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{write()}\n{end}{rest.partition(end)[2]}"
    README.write_text(text, encoding="utf-8")
