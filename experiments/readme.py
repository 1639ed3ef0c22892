"""Writes the README's table of results from the JSON under experiments/results/.

Command:   python experiments/readme.py
Hardware:  any.
Time:      a second.
Result:    the part of README.md between its two markers.
"""

import json
from pathlib import Path
from typing import Any

from provenance import RESULTS

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: written by experiments/readme.py -->", "<!-- end of results -->"


RUNS = {  # result's name: what the table calls it
    "accuracy_standard": "`standard`",
    "accuracy_paper": "`paper`",
    "accuracy_paper_256": "`paper` with batch 256",
    "accuracy_without_background": "digits alone",
}


def table() -> str:
    """The results as Markdown."""
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
    if speed := _read("training_speed"):
        ratios = " and ".join(
            f"{row['ratio_median']:.2f} at batch {batch}"
            for batch, row in speed["batch_size"].items()
        )
        lines.append(
            f"- Training on CPU takes in images at this multiple of PyTorch's rate (eager, fused "
            f"Adam, the faster of its memory formats; both with huge pages): "
            f"{ratios}; {_made(speed)}."
        )
    return "\n".join(lines)


def _row(name: str, run: dict[str, Any]) -> str:
    early = run["test_accuracy_by_step"]["1000"]
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
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
