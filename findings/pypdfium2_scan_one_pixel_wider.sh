#!/usr/bin/env bash
# pypdfium2 renders a scan at its own resolution one pixel too wide, and resamples it
#
# Versions   pypdfium2 5.15.2, Pillow 12.3.0, numpy 2.4.6, Python 3.11.
# Expected   An A4 scan of 2480×3508 px at 300 dpi, which Pillow stores losslessly as the whole page of a
#            PDF file, comes back from page.render(scale=300 / 72) with 2480×3508 px, black and white.
# Seen       2481×3508 px in 256 grey values: of the lines of one pixel that the scan holds, many are
#            grey now. The page is 595.2 points wide; PDFium keeps lengths as float32, 595.200012, and
#            pypdfium2 rounds the number of pixels up. With scale=300 / 72 * (1 - 1e-6) the scan comes
#            back as it was.
# Matters    Text recognition renders scans at the resolution that they were made at, to get their
#            pixels. Here thin strokes fade, and boxes do not fit the embedded picture.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pypdfium2==5.15.2 pillow==12.3.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
import sys

import numpy as np
import pypdfium2 as pdfium
from PIL import Image

scan = np.full((3508, 2480), 255, np.uint8)
scan[:, ::10] = 0  # lines of one pixel
file = io.BytesIO()
Image.fromarray(scan).convert("1").save(file, "PDF", resolution=300)
page = pdfium.PdfDocument(file)[0]
print(f"page: {page.get_size()} points; scan: {next(page.get_objects()).get_px_size()} px")
seen = {}
for name, scale in (("300 / 72", 300 / 72), ("300 / 72 * (1 - 1e-6)", 300 / 72 * (1 - 1e-6))):
    pixels = page.render(scale=scale, grayscale=True).to_numpy()
    pixels = pixels.reshape(pixels.shape[:2])
    height, width = pixels.shape
    black, greys = int((pixels[1000] == 0).sum()), len(np.unique(pixels))
    print(f"scale {name}: {width}×{height} px, {greys} grey values, {black} black lines of 248")
    seen[name] = width == 2480 and np.array_equal(pixels, scan)
if list(seen.values()) != [False, True]:
    sys.exit(f"this has changed: the scan came back as it was at {seen}")
PY
