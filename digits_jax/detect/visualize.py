"""Pictures of what was found: boxes and labels on the image, maps over it, Figures 5 and 6."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from digits_jax.detect.detector import Detections
from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.response_maps import ResponseMaps
from digits_jax.models.fcn.tiling import map_size
from digits_jax.runtime.errors import ArgumentError

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# One a class, all bright enough for black text on them.
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

SHORT_SIDE, LONG_SIDE = 320, 2000  # pixels: enlarged to the first, if that keeps to the second
RED_IS_HIGH, RED_IS_LOW = "turbo", "turbo_r"

Rectangle = tuple[int, int, int, int]  # x0, y0, x1, y1, with the last column and row inside


def draw_detections(
    image: UInt8[np.ndarray, "h w *channels"], detections: Detections
) -> Image.Image:
    """Draws each detection's box, and above it, where there is room, its digit and its score.

    Args:
      image: `[h, w]` or `[h, w, 3]` uint8, as `read_image` returns it.
      detections: what `detect` found in it.

    Returns:
      An RGB picture of the image's size, or of a multiple of it where labels would be illegible.
    """
    factor = _enlargement(image)
    height, width = (factor * side for side in image.shape[:2])
    size = (width, height)
    picture = Image.fromarray(image).convert("RGB").resize(size, Image.Resampling.NEAREST)
    line = max(2, round(min(size) / 250))
    font = ImageFont.load_default(min(max(14, min(size) // 25), 36))
    boxes = [_around(box, factor, line) for box in detections.boxes_xyxy]
    found = list(zip(boxes, detections.labels.tolist(), detections.scores, strict=True))

    draw = ImageDraw.Draw(picture)
    for box, digit, _ in reversed(found):  # so that the best lie on top
        x0, y0, x1, y1 = box
        # A black line around the coloured one, which shows on dark and on light.
        draw.rectangle(_inside((x0 - 1, y0 - 1, x1 + 1, y1 + 1), size), outline="black")
        draw.rectangle(_inside(box, size), outline=COLOURS[digit], width=line)
    labels: list[Rectangle] = []
    for box, digit, score in found:  # so that the best have the choice of places
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


def _enlargement(image: UInt8[np.ndarray, "h w *channels"]) -> int:
    short, long = sorted(image.shape[:2])
    return max(1, min(math.ceil(SHORT_SIDE / short), LONG_SIDE // long))


def _around(box: Int[np.ndarray, "4"], factor: int, line: int) -> Rectangle:
    """The rectangle whose line, so many pixels wide, lies just outside a box of the image."""
    x0, y0, x1, y1 = (factor * int(edge) for edge in box)
    return x0 - line, y0 - line, x1 - 1 + line, y1 - 1 + line


def _inside(rectangle: Rectangle, size: tuple[int, int]) -> Rectangle:
    """Its part in a picture of this width and height: a box at the edge keeps all its lines."""
    x0, y0, x1, y1 = rectangle
    right, bottom = size[0] - 1, size[1] - 1
    x0, y0 = min(max(x0, 0), right), min(max(y0, 0), bottom)
    return x0, y0, max(min(x1, right), x0), max(min(y1, bottom), y0)


def _place_label(
    label: tuple[int, int], box: Rectangle, size: tuple[int, int], taken: Iterable[Rectangle]
) -> Rectangle:
    """Where a label of this width and height goes: above, below, right or left of its box.

    Where all of these are taken or out of the picture, at the top of the box, on whatever is there.
    """
    width, height = label
    x0, y0, x1, y1 = box
    along = max(min(x0, size[0] - width), 0)
    corners = [(along, y0 - height), (along, y1 + 1), (x1 + 1, y0), (x0 - width, y0)]
    for x, y in corners:
        place = (x, y, x + width - 1, y + height - 1)
        if place == _inside(place, size) and not any(_overlap(place, other) for other in taken):
            return place
    top = max(min(y0 - height, size[1] - height), 0)
    return along, top, along + width - 1, top + height - 1


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    across = one[0] <= other[2] and other[0] <= one[2]
    return across and one[1] <= other[3] and other[1] <= one[3]


def overlay_map(image: UInt8[np.ndarray, "h w"], values: Float[np.ndarray, "_ _"]) -> Image.Image:
    """The image under the colours of a map whose cells, in 0–1, cover it evenly; red is high."""
    from matplotlib import colormaps  # slow to import

    colours = Image.fromarray(colormaps[RED_IS_HIGH](values, bytes=True)[..., :3])
    picture = Image.fromarray(image).convert("RGB")
    return Image.blend(picture, colours.resize(picture.size, Image.Resampling.NEAREST), 0.5)


def draw_response_maps(
    image: UInt8[np.ndarray, "h w"], maps: ResponseMaps, class_maps: Path, confidence_maps: Path
) -> None:
    """Draws the paper's Figures 5 and 6 of an image, each whole or not at all; red is confident.

    Args:
      image: `[h, w]` uint8, as `read_image` returns it.
      maps: what `response_maps` says of it alone, a batch of one.
      class_maps: the picture to write of the ten digits' probabilities (Figure 5); its suffix,
        such as .png, names the format.
      confidence_maps: the picture to write of the margin (Figure 6) and the entropy.

    Raises:
      ValueError: the maps are not of one image of this size.
    """
    expected = (1, *map(map_size, image.shape))
    if maps.margin.shape != expected:
        raise ArgumentError(
            f"draw_maps takes the maps of one image: expected {list(expected)} windows for an "
            f"image of {list(image.shape)}, got {list(maps.margin.shape)}; give the maps of this "
            "image alone"
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
        _show_map(ax, image, probabilities[..., digit], str(digit), RED_IS_HIGH, 1.0)
    figure.colorbar(axes[0].images[0], ax=axes, label="probability", shrink=0.9)
    return figure


def _confidence_figure(
    image: UInt8[np.ndarray, "H W"],
    margin: Float[np.ndarray, "h w"],
    entropy: Float[np.ndarray, "h w"],
) -> "matplotlib.figure.Figure":
    figure = _figure(image)
    of_image, of_margin, of_entropy = figure.subplots(1, 3)
    _show_image(of_image, image)
    _show_map(of_margin, image, margin, "margin", RED_IS_HIGH, 1.0)
    figure.colorbar(of_margin.images[0], ax=of_margin, label="best less second", shrink=0.8)
    _show_map(of_entropy, image, entropy, "entropy", RED_IS_LOW, math.log(NUM_CLASSES))
    figure.colorbar(of_entropy.images[0], ax=of_entropy, label="nats", shrink=0.8)
    return figure


def _figure(image: UInt8[np.ndarray, "h w"]) -> "matplotlib.figure.Figure":
    """An empty figure for the image at twice the size of the ten maps beside it."""
    # Imported here, since it takes longer than finding the digits does.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = image.shape
    tall = min(max(height / width, 0.4), 2.5)
    figure = Figure(figsize=(12, 3.2 * tall + 0.6), layout="constrained")
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
    colours: str,
    largest: float,
) -> None:
    """Draws a map in the image's coordinates, each cell as the 2×2 pixels amid its window.

    No window is centred on the image's border, which stays grey.
    """
    first = (INPUT_SIDE - STRIDE) / 2
    right, bottom = (first + STRIDE * cells for cells in values.shape[::-1])
    extent = (first, right, bottom, first)
    axes.imshow(values, cmap=colours, vmin=0, vmax=largest, extent=extent, interpolation="nearest")
    height, width = image.shape
    axes.set(title=title, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_facecolor("0.85")


def _save(figure: "matplotlib.figure.Figure", path: Path) -> None:
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    figure.savefig(temporary, dpi=150)
    os.replace(temporary, path)
