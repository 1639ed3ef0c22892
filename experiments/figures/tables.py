"""Writes the tables of results in README.md and docs/ from the JSON under experiments/results/.

Command:   python -m experiments.figures.tables
Hardware:  any.
Time:      a second.
Result:    the parts of README.md and of pages of docs/ between markers, such as
           `<!-- training: written by … -->` and `<!-- end of training -->`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import tyro

from experiments.benchmarks.speed_requirements import format_table, read_runs, select_last_runs
from experiments.common.detection_results import (
    DEFAULT_SIZES,
    pretrained_rows,
    read_detection_rows,
    with_current_names,
)
from experiments.common.provenance import RESULTS, ROOT, read_result
from experiments.figures.anchors_table import render_anchors
from experiments.figures.calibration_tables import render_out_of_distribution, render_reliability
from experiments.figures.finetune_table import render_finetune
from experiments.figures.large_scan_table import render_large_scan
from experiments.figures.markdown import (
    Row,
    platform_of,
    provenance_of,
    source_list,
    table_header,
    table_row,
)
from experiments.figures.scaling_tables import (
    render_checkpoints,
    render_limits,
    render_scaling_check,
    render_strong_scaling,
    render_weak_scaling,
)
from experiments.figures.training_table import (
    render_ablation,
    render_ensemble,
    render_training,
    render_training_time,
)

COMMAND = "python -m experiments.figures.tables"
SCENE_DATASETS = ("native", "savi-d", "mnist-od", "page", "textured")
PHOTOGRAPHS = {  # name of the image set: its description in the README
    "photographs, normalised": "photographs, as the commands read them",
    "photographs": "photographs, not normalised",
}
PEER_METHODS = {"detect": "`detect`", "opencv": "OpenCV pipeline", "rapidocr": "RapidOCR"}


def main(root: Path = ROOT, results: Path = RESULTS) -> None:
    """Writes all tables.

    Args:
        root: Folder with README.md and docs/.
        results: Folder with the results.
    """
    texts = {}
    for file, parts in PARTS.items():
        texts[file] = (root / file).read_text(encoding="utf-8")
        for name, render in parts.items():
            texts[file] = replace_part(texts[file], name, render(results))
    for file, text in texts.items():
        (root / file).write_text(text, encoding="utf-8")


def replace_part(text: str, name: str, content: str) -> str:
    """Replaces the lines between the two markers of a part of a text.

    Raises:
      ValueError: a marker is missing.
    """
    begin, end = f"<!-- {name}: written by {COMMAND} -->", f"<!-- end of {name} -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"expected the lines {begin} and {end}; add them where the table belongs")
    return f"{before}{begin}\n{content}\n{end}{after}"


def render_summary(results: Path = RESULTS) -> str:
    """Renders the README's table: the pretrained weights with default settings."""
    detection = pretrained_rows(results)
    lines = [
        f"| MNIST, {detection['mnist']['examples']:,} test digits | accuracy | "
        f"{detection['mnist']['accuracy']:.2%} |",
        *(
            f"| `{name}`, {detection[name]['scenes']} scenes | F1 / AP50 | "
            f"{detection[name]['f1']:.3f} / {detection[name]['ap50']:.3f} |"
            for name in SCENE_DATASETS
        ),
        *(
            f"| {text}, {detection[name]['megapixels']:.1f} megapixels | "
            f"false detections a megapixel | {detection[name]['false_per_megapixel']:.1f} |"
            for name, text in PHOTOGRAPHS.items()
        ),
    ]
    used = {name: detection[name] for name in ("mnist", *SCENE_DATASETS, *PHOTOGRAPHS)}
    commits: dict[str, list[str]] = {}
    for name, row in used.items():
        commits.setdefault(row["commit"].split()[0][:7], []).append(name)
    commit, *others = sorted(commits, key=lambda commit: -len(commits[commit]))
    exceptions = "".join(f", {', '.join(commits[other])} at {other}" for other in others)
    platforms = " and ".join(dict.fromkeys(map(platform_of, used.values())))
    dates = " to ".join(sorted({row["date"] for row in used.values()}))
    footer = f"<sub>{platforms}; {dates}; commit {commit}{exceptions}.</sub>"
    return "\n".join([*table_header("test images", "metric", "result"), *lines, "", footer])


def render_detection(results: Path = RESULTS) -> str:
    """Renders the results of detection in scenes."""
    metrics = ("precision", "recall", "f1", "count_accuracy", "ap50")
    titles = ("precision", "recall", "F1", "count accuracy", "AP50")
    rows = [row for row in _ordered_rows(results) if "f1" in row]
    lines = [
        table_row(
            *(f"`{row['weights']}`", _sizes(row), f"{row['scenes']} of `{row['images']}`"),
            *(f"{row[metric]:.3f}" for metric in metrics),
            _seconds(row["seconds_per_image"]),
        )
        for row in rows
    ]
    other = read_result("other_handwriting", results)
    sizes = _sizes({"sizes": other.get("sizes", DEFAULT_SIZES[0])})
    for row in map(with_current_names, other.get("rows", [])):
        scenes = f"{row['scenes']} of `page`, {row['digits']}"
        shown = (f"{row[metric]:.3f}" for metric in metrics)
        lines.append(table_row("`pretrained`", sizes, scenes, *shown, ""))
    footer = _detection_footer(rows)
    if other:
        footer.append(f"UCI digits; handwriting fonts: {provenance_of(other)}")
    footer.append("The scenes are of seed 0")
    header = table_header("weights", "sizes", "scenes", *titles, "s an image")
    return "\n".join([*header, *lines, *source_list(footer)])


def render_no_digits(results: Path = RESULTS) -> str:
    """Renders the false detections in images without digits."""
    rows = [row for row in _ordered_rows(results) if "megapixels" in row]
    lines = [
        table_row(
            *(f"`{row['weights']}`", _sizes(row), row["images"], f"{row['megapixels']:.2f}"),
            f"{row['megapixels'] * row['false_per_megapixel']:.0f}",
            f"{row['false_per_megapixel']:.1f}",
        )
        for row in rows
    ]
    header = table_header("weights", "sizes", "images", "megapixels", "detections", "a megapixel")
    return "\n".join([*header, *lines, *source_list(_detection_footer(rows))])


def render_peers(results: Path = RESULTS) -> str:
    """Renders F1 and time of `detect` beside other ways to detect digits."""
    result = read_result("detection_peers", results)
    return "\n".join([*_peer_lines(result), *source_list([provenance_of(result)])])


def render_peers_summary(results: Path = RESULTS) -> str:
    """Renders the same for the README."""
    result = read_result("detection_peers", results)
    commit = result["commit"].split()[0][:7]
    footer = f"<sub>{platform_of(result)}; {result['date']}; commit {commit}.</sub>"
    return "\n".join([*_peer_lines(result), "", footer])


def _peer_lines(result: Row) -> list[str]:
    rows = {(row["images"], row["method"]): row for row in result["rows"]}
    lines = []
    for name in dict.fromkeys(name for name, _ in rows):
        cells = []
        for method in PEER_METHODS:
            row = rows[name, method]
            counted = "f1" in row
            figure = f"{row['f1']:.3f}" if counted else f"{row['false_per_megapixel']:.1f}"
            cells += [figure, f"{row['seconds_median']:.3f}"]
        scenes = rows[name, "detect"].get("scenes")
        subject = f"{scenes} of `{name}`, F1" if scenes else f"{name}, false a megapixel"
        lines.append(table_row(subject, *cells))
    titles = [cell for method in PEER_METHODS.values() for cell in (method, "s an image")]
    return [*table_header("images", *titles), *lines]


def render_speed(results: Path = RESULTS) -> str:
    """Renders the last runs of `make bench`."""
    runs = read_runs(results)
    footer = [
        f"{provenance_of({**run, 'command': 'make bench'})}; fastest peers: "
        + ", ".join(f"{peer} ({task})" for task, peer in run["peers"].items())
        for run in select_last_runs(runs)
    ]
    if memory := read_result("detection_memory", results):
        footer.append(
            f"peak memory of `detect` in 4096×4096 px: {memory['peak_resident_gib']:.2f} GiB; "
            f"{provenance_of(memory)}"
        )
    return "\n".join([format_table(runs), *source_list(dict.fromkeys(footer))])


PARTS: dict[str, dict[str, Callable[[Path], str]]] = {  # file: name of the part: its content
    "README.md": {"results": render_summary, "peers": render_peers_summary},
    "docs/results.md": {
        "anchors": render_anchors,
        "training": render_training,
        "ensemble": render_ensemble,
        "reliability": render_reliability,
        "out-of-distribution": render_out_of_distribution,
        "detection": render_detection,
        "no-digits": render_no_digits,
        "peers": render_peers,
    },
    "docs/training.md": {
        "training-time": render_training_time,
        "finetune": render_finetune,
        "ablation": render_ablation,
    },
    "docs/speed.md": {"speed": render_speed, "large-scan": render_large_scan},
    "docs/scaling.md": {
        "weak-scaling": render_weak_scaling,
        "strong-scaling": render_strong_scaling,
        "limits": render_limits,
        "checkpoints": render_checkpoints,
        "scaling-check": render_scaling_check,
    },
}


def _ordered_rows(results: Path) -> list[Row]:
    """Reads the detection results, the pretrained weights and the default sizes first."""

    def order(row: Row) -> tuple[bool, bool]:
        return row["weights"] != "pretrained", row["sizes"] not in DEFAULT_SIZES

    return sorted(read_detection_rows(results=results), key=order)


def _detection_footer(rows: Iterable[Row]) -> list[str]:
    """Lists where the rows are from; rows with the same provenance share a line."""
    images: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = (f"`{row['weights']}`, sizes {_sizes(row)}", provenance_of(row))
        images.setdefault(key, []).append(row["images"])
    return [
        f"{subject}; {'; '.join(names)}: {origin}" for (subject, origin), names in images.items()
    ]


def _sizes(row: Row) -> str:
    low, high = row["sizes"]
    if high is None:
        return f"from {low:g}"
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.3f}"


if __name__ == "__main__":
    tyro.cli(main)
