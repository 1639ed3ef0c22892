#!/usr/bin/env bash
# pycocotools takes a match with the annotation of id 0 for no match; and cannot load no results
#
# Versions   pycocotools 2.0.11, numpy 2.4.6, Python 3.11.
# Expected   Two objects, each found exactly: average precision 1, whatever the annotations' ids are.
#            A detector that finds nothing: average precision 0.
# Seen       With ids 1 and 2 the average precision is 1; with ids 0 and 1, which several exporters
#            write, it is about 0.25: the matched id is stored in an array where 0 means "no match".
#            `loadRes([])` raises IndexError.
# Matters    Numbering from 0 is natural in Python, and the error is one that looks like a slightly
#            worse detector. A blank page, or an image set without detections, ends the evaluation.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import contextlib
import io
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOXES = ([0, 0, 10, 10], [20, 20, 10, 10])


def truth(first):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1, "width": 40, "height": 40}],
        "categories": [{"id": 1, "name": "digit"}],
        "annotations": [
            {"id": first + k, "image_id": 1, "category_id": 1, "bbox": box, "area": 100, "iscrowd": 0}
            for k, box in enumerate(BOXES)
        ],
    }
    coco.createIndex()
    return coco


def average_precision(first):
    coco = truth(first)
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9 - 0.1 * k}
        for k, box in enumerate(BOXES)
    ]
    evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[1]  # at IoU 0.5


with contextlib.redirect_stdout(io.StringIO()):
    from_one, from_zero = average_precision(1), average_precision(0)
    try:
        truth(1).loadRes([])
        empty = "loads"
    except IndexError as error:
        empty = f"IndexError: {error}"
print(f"AP50 with annotation ids 1, 2: {from_one:.3f}; with 0, 1: {from_zero:.3f}; loadRes([]): {empty}")
if not (from_one > 0.999 and from_zero < 0.9 and empty.startswith("IndexError")):
    sys.exit("this has changed")
PY
