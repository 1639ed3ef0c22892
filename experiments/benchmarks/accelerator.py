"""Is the package as fast on an accelerator as it is meant to be? Everything in one run.

Each part runs in a process of its own, the most important first, and is written as soon as it is
done. A part that does not fit into what is left of the budget is named as skipped; one that runs
over it is stopped. With `--parts` only the parts named run; the file's others stay as they are.

Command:   python -m experiments.benchmarks.accelerator
           python -m experiments.benchmarks.accelerator --parts NAME…
           python -m experiments.benchmarks.accelerator --small --output FILE.json (on a CPU)
Hardware:  one GPU, such as an H200, otherwise idle; MNIST in the cache folder, or a network. For
           the ratios to PyTorch, a CUDA build of torch (the extra [bench]).
Time:      at most --budget-s, by default 8 minutes; with --small 2 to 3 minutes on 2 CPU cores.
Result:    experiments/results/accelerator.json: each part's figures, what is required of them and
           whether they meet it. docs/speed.md says more.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro

from experiments.benchmarks.speed_requirements import Requirement
from experiments.common.provenance import (
    RESULTS,
    ROOT,
    read_result,
    running_command,
    write_result,
)

DEFAULT_OUTPUT = RESULTS / "accelerator.json"
REQUIREMENTS = {
    "paper_seconds": Requirement(
        "`paper`, 20,000 steps from a new process that compiles everything, seconds",
        "<",
        20.0,
        None,
    ),
    "standard_seconds": Requirement("the same of `standard`, 6,000 steps", "<", 12.0, None),
    "training_50": Requirement(
        "training at batch 50, speed relative to PyTorch's compiled CUDA graph", "≥", 1.3, None
    ),
    "training_256": Requirement("the same at batch 256", "≥", 1.3, None),
    "maps_float32": Requirement(
        "maps of 2048×2048, share of the rate of a matrix product, both float32", "≥", 0.5, None
    ),
    "maps_bfloat16": Requirement("the same, both of bfloat16 factors", "≥", 0.5, None),
    "scenes_per_second": Requirement(
        "scenes of `mnist-od` searched a second by one process", "≥", 200.0, None
    ),
}


class Part(NamedTuple):
    """A part of the run."""

    name: str  # in `accelerator_parts.PARTS`
    expected_seconds: float  # on an H200, guessed: it is not begun if less is left
    requirements: tuple[str, ...]  # names in REQUIREMENTS


HEADER = Part("header", 10, ())
PARTS = (  # the most important first
    Part("train-paper", 40, ("paper_seconds",)),
    Part("train-standard", 40, ("standard_seconds",)),
    Part("peer-50", 80, ("training_50",)),
    Part("peer-256", 80, ("training_256",)),
    Part("maps-float32", 70, ("maps_float32",)),
    Part("maps-bfloat16", 40, ("maps_bfloat16",)),
    Part("detection", 50, ("scenes_per_second",)),
    Part("scaling", 60, ()),
)
PartName = Literal[tuple(part.name for part in PARTS)]  # type: ignore[valid-type]


def main(
    budget_s: float = 480.0,
    small: bool = False,
    output: Path = DEFAULT_OUTPUT,
    parts: tuple[PartName, ...] = (),  # type: ignore[valid-type]
) -> None:
    """Runs all parts that fit into the budget, or those that are named.

    Args:
        budget_s: Seconds that the whole run may take.
        small: Whether to shrink all sizes, to try the program itself. The figures then mean
            nothing, and --output has to name another file than the committed result.
        output: The file to write, ending in .json.
        parts: The parts to run, in any order; by default all. The file's other parts stay, if they
            are of the same commit, hardware and versions.
    """
    if output.suffix != ".json":
        sys.exit(f"expected --output to end in .json; got {output}")
    if small and output.resolve() == DEFAULT_OUTPUT.resolve():
        sys.exit("expected --output with --small: its figures do not belong into the results")
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the part is stopped, too
    header = _run(HEADER, small, budget_s)
    if header["state"] != "done":
        sys.exit(f"the devices or MNIST are not there: {header['reason']}")
    facts = {key: value for key, value in header.items() if key not in ("state", "seconds")}
    if facts["hardware"]["devices"][0] == "cpu" and not small:
        sys.exit("there is no accelerator here; --small --output FILE.json tries the program")
    kept: dict[str, Any] = {}
    if parts:
        try:
            kept = keep_parts(read_result(output.stem, output.parent), facts, small, parts)
        except ValueError as error:
            sys.exit(f"{output} {error}: name another --output, or run all parts anew")
    result: dict[str, Any] = {
        "question": "Is the package as fast on an accelerator as it is meant to be?",
        **facts,
        "command": running_command(),
        "small": small,
        "budget_seconds": budget_s,
        "parts": kept,
    }
    has_failed = False
    for part in PARTS:
        if parts and part.name not in parts:
            continue
        spent = time.monotonic() - begun
        left = budget_s - spent
        outcome = skip(part, left) if not small else None
        outcome = outcome or _run(part, small, left)
        has_failed |= outcome["state"] == "failed"
        verdicts = judge(part.requirements, outcome.get("figures", {}))
        measured = {**outcome, "date": facts["date"], "verdicts": verdicts}
        done = {**result["parts"], part.name: measured}
        result["parts"] = {other.name: done[other.name] for other in PARTS if other.name in done}
        result["seconds"] = round(time.monotonic() - begun, 1)
        write_result(output.stem, result, output.parent)
        print("\n".join(describe(part, outcome, verdicts)), flush=True)
    print(output)
    if has_failed:
        sys.exit(1)


def judge(requirements: Sequence[str], figures: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Compares figures with what is required of them.

    Args:
      requirements: names in REQUIREMENTS.
      figures: figures by these names; None for one that could not be measured.

    Returns:
      For each requirement what it is, the figure, and whether it is met: None without a figure.
    """
    verdicts = []
    for name in requirements:
        requirement, figure = REQUIREMENTS[name], figures.get(name)
        verdicts.append(
            {
                "requirement": requirement.text,
                "required": requirement.bound(requirement.limit),
                "measured": figure,
                "met": None if figure is None else requirement.is_met(figure),
            }
        )
    return verdicts


def keep_parts(
    earlier: Mapping[str, Any], facts: Mapping[str, Any], small: bool, rerun: Sequence[str]
) -> dict[str, Any]:
    """Returns the parts that stay of an earlier result in which some are measured anew.

    Parts without figures, which were skipped, stopped or failed, do not stay.

    Args:
      earlier: the earlier result; empty if there is none.
      facts: where the new figures are from: commit, hardware, versions.
      small: whether their sizes are shrunk.
      rerun: the names of the parts that are measured anew.

    Raises:
      ValueError: the earlier figures are not comparable with the new ones.
    """
    stays = {
        name: part
        for name, part in earlier.get("parts", {}).items()
        if name not in rerun and part["state"] == "done"
    }
    if not stays:
        return {}
    new = {**facts, "small": small}
    for key in ("commit", "hardware", "versions", "small"):
        if earlier.get(key) != new[key]:
            raise ValueError(f"has parts of another {key}, {earlier.get(key)}, not {new[key]}")
    if "uncommitted" in new["commit"]:
        raise ValueError("has parts of a package with uncommitted changes, now perhaps others")
    return stays


def skip(part: Part, seconds_left: float) -> dict[str, Any] | None:
    """Returns the outcome of a part that does not fit into the time that is left, or None."""
    if part.expected_seconds <= seconds_left:
        return None
    return {
        "state": "skipped",
        "reason": f"it takes about {part.expected_seconds:g} s; {max(0.0, seconds_left):.0f} s are "
        "left of the budget",
    }


def describe(
    part: Part, outcome: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Returns a line for a part, and one for each of its verdicts."""
    reason = f": {outcome['reason']}" if "reason" in outcome else ""
    lines = [f"{part.name}: {outcome['state']}{reason}"]
    for verdict in verdicts:
        words = {True: "met", False: "NOT met", None: "not measured"}[verdict["met"]]
        measured = "" if verdict["measured"] is None else f"{verdict['measured']:g}, "
        lines.append(
            f"  {verdict['requirement']}: {measured}required {verdict['required']}: {words}"
        )
    return lines


def _run(part: Part, small: bool, limit_s: float) -> dict[str, Any]:
    """Runs a part in a process group of its own, and ends all of it after a number of seconds."""
    command = [sys.executable, "-m", "experiments.benchmarks.accelerator_parts", part.name]
    begun = time.monotonic()
    process = subprocess.Popen(
        [*command, *(["--small"] if small else [])],
        cwd=ROOT,
        env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ},  # processes share the GPU
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    outcome: dict[str, Any]
    try:
        written, messages = process.communicate(timeout=max(1.0, limit_s))
        if process.returncode:
            outcome = {"state": "failed", "reason": messages.strip()[-1000:]}
        else:
            outcome = {"state": "done", **json.loads(written.splitlines()[-1])}
    except subprocess.TimeoutExpired:
        outcome = {"state": "stopped", "reason": "the budget was used up"}
    finally:
        _end(process)
    return {**outcome, "seconds": round(time.monotonic() - begun, 1)}


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process and those that it started, if they still run."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all of them have ended
        return
    process.wait()


if __name__ == "__main__":
    tyro.cli(main)
