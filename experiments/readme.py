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


def table() -> str:
    """The results as Markdown."""
    lines = [
        "| run | test accuracy | errors in 10,000 | validation | by iteration 1000 | minutes |",
        "|---|---|---|---|---|---|",
    ]
    runs = [(name, run) for name in ("standard", "paper") for run in _runs(name)]
    lines += [_row(recipe, run) for recipe, run in runs]
    lines.append("")
    lines += [f"- `{recipe}`, seed {run['seed']}: {_made(run)}." for recipe, run in runs]
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


def _row(recipe: str, run: dict[str, Any]) -> str:
    early = run["test_accuracy_by_step"]["1000"]
    return (
        f"| `{recipe}`, seed {run['seed']} | {run['test_accuracy']:.2%} | {run['test_errors']} | "
        f"{run['validation_accuracy']:.2%} | {early:.1%} | {run['training_minutes']:.0f} |"
    )


def _made(result: dict[str, Any]) -> str:
    hardware, jax_version = result["hardware"], result["versions"]["jax"]
    return (
        f"{hardware['cores']} cores of an {hardware['processor']}, jax {jax_version}, "
        f"commit {result['commit']}, {result['date']}, `{result['command']}`"
    )


def _runs(recipe: str) -> list[dict[str, Any]]:
    return _read(f"accuracy_{recipe}").get("runs", [])


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
