"""The table of training runs."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import (
    Row,
    hardware_of,
    platform_of,
    provenance_of,
    source_list,
    table_header,
    table_row,
)

TRAINING_RUNS = {  # name of the result: name in the table
    "accuracy_standard": "`standard`",
    "accuracy_standard_frozen": "`standard`, convolutions frozen early",
    "accuracy_standard_adam": "`standard` by Adam, all layers to the end",
    "accuracy_accurate": "`accurate`",
    "accuracy_quick": "`quick`",
    "accuracy_paper": "`paper`",
    "accuracy_paper_256": "`paper` with batch 256",
    "accuracy_without_background": "digits alone",
}
MIN_SEEDS = 5  # of one program that share a line


def render_training(results: Path = RESULTS) -> str:
    """Renders the results of training runs; many seeds of one program share a line."""
    columns = ("run", "on", "test accuracy", "errors", "validation", "by iteration 1000", "minutes")
    groups: dict[tuple[str, str], list[Row]] = {}  # of one command
    programs: dict[tuple[str, str, str], list[Row]] = {}  # of one commit and one platform
    for file, name in TRAINING_RUNS.items():
        for run in read_result(file, results).get("runs", []):
            groups.setdefault((name, provenance_of(run)), []).append(run)
            programs.setdefault((name, run["commit"], platform_of(run)), []).append(run)
    lines = []
    for (name, *_), runs in programs.items():
        parts = [runs] if len(runs) >= MIN_SEEDS else [[run] for run in runs]
        lines += [_line(name, part) for part in parts]
    sources = [
        f"{name}, seed {', '.join(str(run['seed']) for run in runs)}: {origin}"
        for (name, origin), runs in groups.items()
    ]
    return "\n".join([*table_header(*columns), *lines, *source_list(sources)])


def render_ensemble(results: Path = RESULTS) -> str:
    """Renders the errors of each network and of their mean probabilities."""
    result = read_result("ensemble_errors", results)
    networks = [f"seed {seed}" for seed in result["seeds"]]
    header = table_header(f"`{result['config']}`", *networks, "together", "of these mislabelled")
    errors = (*result["test_errors_of_each"], result["test_errors"], result["mislabelled"])
    line = table_row("test errors", *map(str, errors))
    return "\n".join([*header, line, *source_list([provenance_of(result)])])


def render_ablation(results: Path = RESULTS) -> str:
    """Renders the validation errors of `accurate` with each change: mean ± standard deviation."""
    result = read_result("accurate_ablation", results)
    lines: list[str] = []
    sources: dict[str, None] = {}  # in the order in which they come
    for change, fields in result["changes"].items():
        runs = [run for run in result["runs"] if run["change"] == change]
        errors = [run["validation_errors"] for run in runs]
        options = " ".join(f"`--{key.replace('_', '-')} {value}`" for key, value in fields.items())
        mean = f"{statistics.mean(errors):.1f} ± {statistics.stdev(errors):.1f}"
        lines.append(table_row(change, options, mean, ", ".join(map(str, errors))))
        sources |= dict.fromkeys(map(provenance_of, runs))
    columns = ("change", "options", "validation errors", "of each seed")
    return "\n".join([*table_header(*columns), *lines, *source_list(sources)])


def render_training_time(results: Path = RESULTS) -> str:
    """Renders how long `standard` trains, beside a former version of the package."""
    result = read_result("standard_time", results)
    names = {"standard": "present", "former": f"former, commit {result['former_commit']}"}
    lines = [
        table_row(
            version,
            f"{result['seconds_to_the_first_step'][name]:.0f}",
            f"{result['steps'][name]:,}",
            f"{result['milliseconds_a_step'][name]:.0f}",
            f"{result['minutes'][name]:.1f}",
        )
        for name, version in names.items()
    ]
    least, most = result["ratio_range"]
    median = result["ratio_median"]
    ratio = (
        f"The ratio of the minutes is {median:.2f} ({least:.2f} to {most:.2f}): where the former "
        f"version takes 26 minutes, the present one takes {26 * median:.0f}."
    )
    columns = ("version", "seconds to the first step", "steps", "milliseconds a step", "minutes")
    table = [*table_header(*columns), *lines, "", ratio]
    return "\n".join([*table, *source_list([provenance_of(result)])])


def _line(name: str, runs: Sequence[Row]) -> str:
    """Renders one run, or the mean of several, with the least and the greatest accuracy."""

    def mean(field: str) -> float:
        return statistics.mean(run[field] for run in runs)

    seeds, accuracy = f"seed {runs[0]['seed']}", f"{mean('test_accuracy'):.2%}"
    if len(runs) > 1:
        accuracies = [run["test_accuracy"] for run in runs]
        seeds = f"mean of {len(runs)} seeds"
        accuracy += f" ({min(accuracies):.2%}–{max(accuracies):.2%})"
    early = [_early_accuracy(run) for run in runs]
    return table_row(
        *(f"{name}, {seeds}", hardware_of(runs[0]), accuracy, f"{mean('test_errors'):.3g}"),
        _mean_share([run["validation_accuracy"] for run in runs], digits=2),
        _mean_share(early, digits=1),
        f"{mean('training_minutes'):.1f}",
    )


def _mean_share(shares: Sequence[float | None], *, digits: int) -> str:
    """Renders the mean of shares in percent, or a dash where one was not measured."""
    measured = [share for share in shares if share is not None]
    return f"{statistics.mean(measured):.{digits}%}" if len(measured) == len(shares) else "–"


def _early_accuracy(run: Row) -> float | None:
    """Returns the test accuracy at the last evaluation up to step 1000, if it was measured."""
    by_step = run["test_accuracy_by_step"]
    return by_step[max((step for step in by_step if int(step) <= 1000), key=int)]
