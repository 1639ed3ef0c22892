"""Draws detections on an image, and response maps over it (the paper's Figures 5 and 6)."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.detect.detections import Detections
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.response_maps import ResponseMaps
from digits_jax.models.fcn.tiling import map_size
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.files import atomic_write

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# One colour for each class; all are bright enough for black text on them.
COLOURS = (
    "#ff6b6b",
    "#4dabf7",
    "#51cf66",
    "#ffd43b",
    "#da77f2",
    "#ff922b",
    "#22d3ee",
    "#f9a8d4",
    "#bef264",
    "#dee2e6",
)

MIN_SHORT_SIDE = 320  # px: pictures are enlarged until their shorter side has this, ...
MAX_LONG_SIDE = 2000  # px: ... but not so far that their longer side has more than this
MIN_LINE, LINE_PER_HEIGHT = 2, 0.03  # px of the boxes' lines, and their share of a digit's height
MIN_FONT, FONT_PER_HEIGHT = 14, 0.25  # px of the labels' font, and its share of a digit's height
COLOURMAP, REVERSED_COLOURMAP = "turbo", "turbo_r"  # red is high, red is low

Rectangle = tuple[int, int, int, int]  # x0, y0, x1, y1, all inclusive


def draw_detections(
    image: UInt8[np.ndarray, "h w *channels"], detections: Detections
) -> Image.Image:
    """Draws the box of each detection with its digit and score, above the box where there is room.

    Lines and labels scale with the median height of the digits.

    Args:
      image: `[h, w]` or `[h, w, 3]` uint8, as `read_image` returns it.
      detections: as `detect` returns them.

    Returns:
      An RGB picture of the image's size, or of a whole multiple of it if the image is small.
    """
    factor = _enlargement(image)
    height, width = (factor * side for side in image.shape[:2])
    size = (width, height)
    picture = Image.fromarray(image).convert("RGB").resize(size, Image.Resampling.NEAREST)
    digit_height = _median_height(detections) * factor
    line = max(MIN_LINE, round(LINE_PER_HEIGHT * digit_height))
    font = ImageFont.load_default(max(MIN_FONT, round(FONT_PER_HEIGHT * digit_height)))
    boxes = [_outline(box, factor, line) for box in detections.boxes_xyxy]
    digits = list(zip(boxes, detections.labels.tolist(), detections.scores, strict=True))

    draw = ImageDraw.Draw(picture)
    for box, digit, _ in reversed(digits):  # so that the highest scores lie on top
        x0, y0, x1, y1 = box
        # A black line around the coloured one, to be visible on dark and on bright pixels.
        draw.rectangle(_clip((x0 - 1, y0 - 1, x1 + 1, y1 + 1), size), outline="black")
        draw.rectangle(_clip(box, size), outline=COLOURS[digit], width=line)
    labels: list[Rectangle] = []
    for box, digit, score in digits:  # so that the highest scores choose their places first
        text = f"{digit}: {score:.2f}"
        _, _, right, bottom = draw.textbbox((0, 0), text, font=font, anchor="lt")
        margin = max(2, math.ceil(bottom / 6))
        text_size = (math.ceil(right) + 2 * margin, math.ceil(bottom) + 2 * margin)
        place = _place_label(text_size, box, size, labels)
        draw.rectangle(place, fill=COLOURS[digit])
        corner = (place[0] + margin, place[1] + margin)
        draw.text(corner, text, fill="black", font=font, anchor="lt")
        labels.append(place)
    return picture


def _median_height(detections: Detections) -> float:
    """Returns the median height of the boxes in px; 0 if there are none."""
    if not len(detections.boxes_xyxy):
        return 0.0
    return float(np.median(detections.boxes_xyxy[:, 3] - detections.boxes_xyxy[:, 1]))


def _enlargement(image: UInt8[np.ndarray, "h w *channels"]) -> int:
    """Returns the factor by which a picture is enlarged, at least 1."""
    short, long = sorted(image.shape[:2])
    return max(1, min(math.ceil(MIN_SHORT_SIDE / short), MAX_LONG_SIDE // long))


def _outline(box: Int[np.ndarray, "4"], factor: int, line: int) -> Rectangle:
    """Returns the rectangle whose line, `line` pixels wide, lies just outside an enlarged box."""
    x0, y0, x1, y1 = (factor * int(edge) for edge in box)
    return x0 - line, y0 - line, x1 - 1 + line, y1 - 1 + line


def _clip(rectangle: Rectangle, size: tuple[int, int]) -> Rectangle:
    """Returns the part of a rectangle in a picture of this width and height."""
    x0, y0, x1, y1 = rectangle
    right, bottom = size[0] - 1, size[1] - 1
    x0, y0 = min(max(x0, 0), right), min(max(y0, 0), bottom)
    return x0, y0, max(min(x1, right), x0), max(min(y1, bottom), y0)


def _place_label(
    label: tuple[int, int], box: Rectangle, size: tuple[int, int], taken: Iterable[Rectangle]
) -> Rectangle:
    """Returns the place of a label of this width and height: above, below, right or left of a box.

    If all of these are taken or outside the picture, it is the top of the box, over other labels.
    """
    width, height = label
    x0, y0, x1, y1 = box
    left = max(min(x0, size[0] - width), 0)
    corners = [(left, y0 - height), (left, y1 + 1), (x1 + 1, y0), (x0 - width, y0)]
    for x, y in corners:
        place = (x, y, x + width - 1, y + height - 1)
        if place == _clip(place, size) and not any(_overlap(place, other) for other in taken):
            return place
    top = max(min(y0 - height, size[1] - height), 0)
    return left, top, left + width - 1, top + height - 1


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def overlay_map(image: UInt8[np.ndarray, "h w"], values: Float[np.ndarray, "_ _"]) -> Image.Image:
    """Blends an image with a map in colours, half and half; red is high.

    Args:
      image: `[h, w]` uint8.
      values: the map in 0–1, of any size; its cells cover the image evenly.

    Returns:
      An RGB picture of the image's size.
    """
    from matplotlib import colormaps  # slow to import

    colours = Image.fromarray(colormaps[COLOURMAP](values, bytes=True)[..., :3])
    picture = Image.fromarray(image).convert("RGB")
    return Image.blend(picture, colours.resize(picture.size, Image.Resampling.NEAREST), 0.5)


def draw_response_maps(
    image: UInt8[np.ndarray, "h w"], maps: ResponseMaps, class_maps: Path, confidence_maps: Path
) -> None:
    """Writes the paper's Figures 5 and 6 of an image to two files; red is confident.

    Args:
      image: `[h, w]` uint8, as `read_image` returns it.
      maps: as `response_maps` returns them for a batch of this image alone.
      class_maps: the file for the probabilities of the ten digits (Figure 5). Its suffix, such as
        .png, sets the format.
      confidence_maps: the file for the margin (Figure 6) and the entropy.

    Raises:
      ArgumentError: the maps are not of one image of this size.
    """
    expected = (1, *map(map_size, image.shape))
    if maps.margin.shape != expected:
        raise ArgumentError(
            f"expected the maps of one image, with {list(expected)} windows for an image of "
            f"{list(image.shape)}; got {list(maps.margin.shape)}; pass the maps of this image alone"
        )
    _save(_class_figure(image, np.asarray(maps.probabilities[0])), class_maps)
    margin, entropy = np.asarray(maps.margin[0]), np.asarray(maps.entropy[0])
    _save(_confidence_figure(image, margin, entropy), confidence_maps)


def _class_figure(
    image: UInt8[np.ndarray, "H W"], probabilities: Float[np.ndarray, "h w 10"]
) -> "matplotlib.figure.Figure":
    figure = _figure(image)
    grid = figure.add_gridspec(2, 6, width_ratios=(2, 1, 1, 1, 1, 1))
    _show_image(figure.add_subplot(grid[:, 0]), image)
    axes = [figure.add_subplot(grid[k // 5, 1 + k % 5]) for k in range(NUM_CLASSES)]
    for digit, ax in enumerate(axes):
        _show_map(ax, image, probabilities[..., digit], str(digit), COLOURMAP, 1.0)
    figure.colorbar(axes[0].images[0], ax=axes, label="probability", shrink=0.9)
    return figure


def _confidence_figure(
    image: UInt8[np.ndarray, "H W"],
    margin: Float[np.ndarray, "h w"],
    entropy: Float[np.ndarray, "h w"],
) -> "matplotlib.figure.Figure":
    figure = _figure(image)
    image_axes, margin_axes, entropy_axes = figure.subplots(1, 3)
    _show_image(image_axes, image)
    _show_map(margin_axes, image, margin, "margin", COLOURMAP, 1.0)
    figure.colorbar(margin_axes.images[0], ax=margin_axes, label="best less second", shrink=0.8)
    _show_map(entropy_axes, image, entropy, "entropy", REVERSED_COLOURMAP, math.log(NUM_CLASSES))
    figure.colorbar(entropy_axes.images[0], ax=entropy_axes, label="nats", shrink=0.8)
    return figure


def _figure(image: UInt8[np.ndarray, "h w"]) -> "matplotlib.figure.Figure":
    """Returns an empty figure with room for the image at twice the size of the ten maps."""
    # Imported here, since the import takes longer than the detection of digits.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = image.shape
    aspect = min(max(height / width, 0.4), 2.5)
    figure = Figure(figsize=(12, 3.2 * aspect + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _show_image(axes: "matplotlib.axes.Axes", image: UInt8[np.ndarray, "h w"]) -> None:
    height, width = image.shape
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    axes.set(title="input", xticks=[], yticks=[])


def _show_map(
    axes: "matplotlib.axes.Axes",
    image: UInt8[np.ndarray, "H W"],
    values: Float[np.ndarray, "h w"],
    title: str,
    colourmap: str,
    maximum: float,
) -> None:
    """Draws a map in the image's coordinates, each cell as the central 2×2 pixels of its window.

    No window is centred near the image's border, which stays grey.
    """
    first = (INPUT_SIDE - STRIDE) / 2
    right, bottom = (first + STRIDE * cells for cells in values.shape[::-1])
    extent = (first, right, bottom, first)
    axes.imshow(
        values, cmap=colourmap, vmin=0, vmax=maximum, extent=extent, interpolation="nearest"
    )
    height, width = image.shape
    axes.set(title=title, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_facecolor("0.85")


def _save(figure: "matplotlib.figure.Figure", path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)
