"""Label Studio's JSON: a task for each page, with the detections as predictions to be corrected.

The labelling configuration has to hold an Image named "image" and RectangleLabels named "label",
whose labels are the digits (docs/commands.md).
"""

import os
from collections.abc import Iterable, Iterator
from json import dumps
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

FROM_NAME, TO_NAME = "label", "image"  # the names in the labelling configuration
# Schemes whose addresses are keys in a storage, which Label Studio takes as they are.
STORAGE_SCHEMES = ("s3", "gs", "azure-blob")
# Suffixes of the formats that browsers show, and with them Label Studio.
BROWSER_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".avif")


class LabelStudioOptions(NamedTuple):
    """What Label Studio's tasks say of all pages."""

    image_url: str | None = None  # what is put before the path of each image; None for nothing
    model_version: str = "digits-jax"


PATHS_ALONE = LabelStudioOptions()


def to_label_studio(
    results: Iterable[dict[str, Any]], options: LabelStudioOptions = PATHS_ALONE
) -> Iterator[str]:
    """Yields the lines of a JSON list with one task for each page that was read.

    `x`, `y`, `width` and `height` of a region are percent of the page's sides. The score of a
    prediction is the mean of its regions' scores, and is left out if there are none. `data` also
    holds `page` for a page of a file of several.

    Args:
      results: the JSON objects of pages, as `page_result` returns them.
      options: the addresses of the images, and the name of the model.
    """
    yield "["
    comma = ""
    for result in results:
        if "error" not in result:
            yield comma + dumps(_task(result, options))
            comma = ","
    yield "]"


def is_shown_by_browsers(result: dict[str, Any]) -> bool:
    """Returns whether the file of a page has one page, in a format that browsers show."""
    suffix = PurePath(result["image"]).suffix.lower()
    return "page" not in result and suffix in BROWSER_SUFFIXES


def _task(result: dict[str, Any], options: LabelStudioOptions) -> dict[str, Any]:
    digits = result["detections"]
    score = {"score": sum(digit["score"] for digit in digits) / len(digits)} if digits else {}
    page = {"page": result["page"]} if "page" in result else {}
    regions = [_region(k, digit, result) for k, digit in enumerate(digits)]
    return {
        "data": {"image": _image_url(result["image"], options.image_url), **page},
        "predictions": [{"model_version": options.model_version, **score, "result": regions}],
    }


def _region(number: int, digit: dict[str, Any], page: dict[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = digit["box"]
    width, height = page["width"], page["height"]
    return {
        "id": f"digit-{number}",
        "type": "rectanglelabels",
        "from_name": FROM_NAME,
        "to_name": TO_NAME,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": digit["score"],
        "value": {
            "x": 100 * x0 / width,
            "y": 100 * y0 / height,
            "width": 100 * (x1 - x0) / width,
            "height": 100 * (y1 - y0) / height,
            "rotation": 0,
            "rectanglelabels": [str(digit["label"])],
        },
    }


def _image_url(image: str, prefix: str | None) -> str:
    if prefix is None:
        return image
    path = PurePath(image).as_posix().lstrip("/")
    if urlsplit(prefix).scheme in STORAGE_SCHEMES:
        return prefix + path
    return prefix + quote(os.fsencode(path))
