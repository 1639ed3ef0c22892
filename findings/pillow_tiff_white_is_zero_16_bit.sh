#!/usr/bin/env bash
# Pillow turns WhiteIsZero TIFFs of 8 bits the right way round, and those of 16 bits not
#
# Versions   Pillow 12.3.0, tifffile 2026.3.3, numpy 2.4.6, Python 3.11.
# Expected   One picture stored twice as PhotometricInterpretation 0 (WhiteIsZero: 0 is white), with 8
#            and with 16 bits a sample, reads alike: bright where it was bright.
# Seen       Of 8 bits Pillow inverts the values, so that 0 is black as in its other grey images. Of 16
#            bits (mode I;16) it gives the numbers of the file: the picture comes out as its negative.
# Matters    Scanners and fax software write WhiteIsZero. A program that reads grey values of both
#            depths has white paper in one and black paper in the other, and no mode tells them apart:
#            only tag 262 does.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import tifffile
from PIL import Image

folder = sys.argv[1]
bright = {}
for bits, kind in ((8, np.uint8), (16, np.uint16)):
    white = np.iinfo(kind).max
    shown = np.array([[0, white]], kind)  # black, white
    path = f"{folder}/{bits}.tif"
    tifffile.imwrite(path, white - shown, photometric="miniswhite")  # 0 stands for white
    with Image.open(path) as image:
        values = np.asarray(image)
        print(f"{bits} bits, mode {image.mode}: black reads {values[0, 0]}, white {values[0, 1]}")
    bright[bits] = bool(values[0, 1] > values[0, 0])
if bright != {8: True, 16: False}:
    sys.exit(f"this has changed: white is the brighter one for {bright}")
PY
