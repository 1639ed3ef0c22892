"""Reads the rows of detection results. Those of older commits have former names."""

from pathlib import Path
from typing import Any

from experiments.common.provenance import RESULTS, read_result

FORMER_VALUES = {"released": "pretrained", "coloured": "textured"}  # of "weights" and "images"
FORMER_KEYS = {"right_count": "count_accuracy"}
DROPPED_KEYS = ("ap50_voc07",)


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
