"""The tables of how well probabilities, scores and margins say how sure the network is."""

from pathlib import Path

from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import (
    Row,
    provenance_of,
    source_list,
    table_header,
    table_row,
)


def render_reliability(results: Path = RESULTS) -> str:
    """Renders the share of right detections by score, and the digits' calibration error."""
    result = read_result("calibration", results)
    lines = [_reliability_row("test digits, by probability", result["digits"]["bins"][-1])]
    lines += [_reliability_row("detections, by score", row) for row in result["detections"]["bins"]]
    columns = ("what", "confidence", "how many", "mean confidence", "right")
    error = result["digits"]["expected_calibration_error"]
    summary = f"The expected calibration error of the test digits is {error:.2%}."
    sources = source_list([provenance_of(result)])
    return "\n".join([*table_header(*columns), *lines, "", summary, *sources])


def render_out_of_distribution(results: Path = RESULTS) -> str:
    """Renders how well the margin tells digits from windows that show none."""
    result = read_result("calibration", results)
    lines = [
        table_row(
            *(row["windows"], f"{row['count']:,}", f"{row['auroc']:.4f}"),
            *(f"{row['digits_kept']:.1%}", f"{row['mean_margin']:.3f}"),
        )
        for row in result["windows_without_digits"]
    ]
    columns = ("windows", "how many", "AUROC", "digits kept", "mean margin")
    return "\n".join([*table_header(*columns), *lines, *source_list([provenance_of(result)])])


def _reliability_row(name: str, row: Row) -> str:
    return table_row(
        *(name, f"{row['low']:.2g}–{row['high']:.2g}", f"{row['predictions']:,}"),
        *(f"{row['mean_confidence']:.3f}", f"{row['right']:.3f}"),
    )
