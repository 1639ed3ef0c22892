"""Reads the rows of experiments/results/detection.json, of which old ones have older names."""

from pathlib import Path
from typing import Any

from experiments.common.provenance import RESULTS, read_result

FORMER_VALUES = {"released": "pretrained", "coloured": "textured"}  # of "weights" and "images"
FORMER_KEYS = {"right_count": "count_accuracy"}
DROPPED_KEYS = ("ap50_voc07",)


def read_detection_rows(name: str = "detection", results: Path = RESULTS) -> list[dict[str, Any]]:
    """Reads the rows of a result of the study `detection`, with today's names.

    Args:
      name: "detection" for test digits, or "detection_validation".
      results: the folder with the results.
    """
    return [_with_todays_names(row) for row in read_result(name, results).get("rows", [])]


def _with_todays_names(row: dict[str, Any]) -> dict[str, Any]:
    renamed = {FORMER_KEYS.get(k, k): value for k, value in row.items() if k not in DROPPED_KEYS}
    for key in ("weights", "images"):
        renamed[key] = FORMER_VALUES.get(renamed[key], renamed[key])
    return renamed
