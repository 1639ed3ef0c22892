#!/usr/bin/env bash
# RapidOCR: an option of one call stays set for all later calls of the same engine
#
# Versions   rapidocr 3.10.0, onnxruntime 1.32.0, opencv-python-headless 5.0.0.93, Python 3.11.
# Expected   engine(image, use_det=False) reads this one image without detection. The next
#            engine(image), like the first one, detects text and returns boxes.
# Seen       The keyword arguments of a call are written into the engine. After one call with
#            use_det=False, a plain call no longer detects: it returns a result of another class,
#            which has no boxes. The same holds for text_score: one call with text_score=1 empties
#            the results of all later ones.
# Matters    A service that shares one engine between requests, as is usual since loading takes a
#            second, answers each request with the options of the one before. No error says so.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  rapidocr==3.10.0 onnxruntime==1.32.0 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PY'
import sys

import cv2
import numpy as np
from rapidocr import RapidOCR

page = np.full((120, 400, 3), 255, np.uint8)
cv2.putText(page, "20417", (40, 80), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 4)


def engine():
    return RapidOCR(params={"Global.log_level": "critical"})


reader = engine()
first = reader(page)
reader(page, use_det=False)
later = reader(page)
print(f"use_det: before {type(first).__name__}, after a call with use_det=False {type(later).__name__}")

scores = engine()
before = scores(page).txts
scores(page, text_score=1.0)
after = scores(page).txts
print(f"text_score: before {before}, after a call with text_score=1 {after}")
changed = hasattr(first, "boxes") and not hasattr(later, "boxes") and before and not after
if not changed:
    sys.exit("this has changed")
PY
