#!/usr/bin/env bash
# Pillow: an image that was once saved as JPEG can no longer be appended to a multi-page TIFF
#
# Versions   Pillow 12.3.0, numpy 2.4.6, Python 3.11.
# Expected   `save` leaves an image as it is. Whether a page was written to another file before makes
#            no difference to `first.save("pages.tif", save_all=True, append_images=[page])`.
# Seen       Saving as JPEG leaves the encoder's settings on the image (`encoderconfig`). When the
#            image is appended to a TIFF later, these are handed to TIFF's encoder, which raises
#            "TypeError: function takes at most 4 arguments". A copy of the image works.
# Matters    A scanner program writes a preview of each page as JPEG and then all pages as one TIFF.
#            The error names neither the page nor the earlier save, and depends on what ran before.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==12.3.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
from PIL import Image

folder = sys.argv[1]
first, page = (Image.fromarray(np.full((24, 40), grey, np.uint8)) for grey in (50, 200))


def write(appended):
    try:
        first.copy().save(f"{folder}/pages.tif", save_all=True, append_images=[appended])
    except TypeError as error:
        return f"TypeError: {error}"
    with Image.open(f"{folder}/pages.tif") as file:
        return f"{file.n_frames} pages"


before = write(page)
page.save(f"{folder}/preview.jpg")
after, copied = write(page), write(page.copy())
print(f"before: {before}; after the page was saved as JPEG: {after}; a copy of it: {copied}")
if not (before == copied == "2 pages" and after.startswith("TypeError")):
    sys.exit("this has changed")
PY
