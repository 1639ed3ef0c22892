#!/usr/bin/env bash
# Pillow: a big-endian BigTIFF has a known signature, and yet is no image
#
# Versions   pillow 12.3.0, tifffile 2026.3.3, numpy 2.4.6, Python 3.11.
# Expected   Pillow reads BigTIFF in both byte orders: it reads little-endian BigTIFF and big-endian
#            TIFF, and its list of TIFF signatures holds "MM\0+", that of a big-endian BigTIFF.
# Seen       The same pixels are read from three of the four kinds of file. The fourth "cannot be
#            identified", after a warning about corrupt EXIF data: the reader looks for BigTIFF's
#            version, 43, in the third byte of the header, where a little-endian file alone has it,
#            and goes on as in a classic TIFF.
# Matters    Scanners and microscopes write BigTIFF where files may exceed 4 GiB, and libtiff and
#            tifffile write it in either byte order. The message says that the file is no image, so
#            people take a good scan for a damaged one. tifffile reads all four.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "pillow==12.3.0" "tifffile==2026.3.3" "numpy==2.4.6"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

warnings.simplefilter("ignore")
pixels = np.arange(120, dtype=np.uint8).reshape(10, 12)
found = {}
for order in "<>":
    for big in (False, True):
        name = f"{'big' if order == '>' else 'little'}-endian {'BigTIFF' if big else 'TIFF'}"
        tifffile.imwrite("a.tif", pixels, byteorder=order, bigtiff=big)
        assert np.array_equal(tifffile.imread("a.tif"), pixels)
        try:
            with Image.open("a.tif") as image:
                found[name] = "read" if np.array_equal(np.asarray(image), pixels) else "other pixels"
        except UnidentifiedImageError:
            found[name] = "not identified as an image"
        print(f"{name:25} Pillow: {found[name]}")
assert found == {
    "little-endian TIFF": "read",
    "little-endian BigTIFF": "read",
    "big-endian TIFF": "read",
    "big-endian BigTIFF": "not identified as an image",
}, found
PYTHON
