"""Reads the rows of detection results. Those of older commits have former names."""

from pathlib import Path
from typing import Any

from experiments.common.provenance import RESULTS, read_result

FORMER_VALUES = {"released": "pretrained", "coloured": "textured"}  # of "weights" and "images"
FORMER_KEYS = {"right_count": "count_accuracy"}
DROPPED_KEYS = ("ap50_voc07",)
DEFAULT_SIZES = ([15.0, 100.0], [12.0, None])  # px: the former ones, and those of today


def read_detection_rows(name: str = "detection", results: Path = RESULTS) -> list[dict[str, Any]]:
    """Reads the rows of a result of the study `detection`, with their current names.

    Args:
      name: "detection" for test digits, or "detection_validation".
      results: the folder with the results.
    """
    return [with_current_names(row) for row in read_result(name, results).get("rows", [])]


def with_current_names(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with current names of its keys, weights and images, without dropped keys."""
    renamed = {FORMER_KEYS.get(k, k): value for k, value in row.items() if k not in DROPPED_KEYS}
    for key in {"weights", "images"} & renamed.keys():
        renamed[key] = FORMER_VALUES.get(renamed[key], renamed[key])
    return renamed


def pretrained_rows(results: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Selects the detection results of the pretrained weights at default sizes, by images."""
    return {
        row["images"]: row
        for row in read_detection_rows(results=results)
        if row["weights"] == "pretrained" and row["sizes"] in DEFAULT_SIZES
    }
