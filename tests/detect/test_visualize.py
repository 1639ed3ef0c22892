"""Pictures of detections and of response maps."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageColor

from digits_jax.detect.detections import Detections
from digits_jax.detect.visualize import (
    COLOURS,
    _class_figure,
    _confidence_figure,
    draw_detections,
    draw_response_maps,
)
from digits_jax.models.fcn.response_maps import ResponseMaps, to_response_maps, window_of_cell

RNG = np.random.default_rng(0)
RGB = np.array([ImageColor.getrgb(colour)[:3] for colour in COLOURS])


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width), np.uint8)


def detections_of(*digits: tuple[list[int], int, float]) -> Detections:
    """Returns detections of (box, label, score)."""
    boxes = np.array([box for box, _, _ in digits], np.int64).reshape(-1, 4)
    labels = np.array([label for _, label, _ in digits], np.int64)
    scores = np.array([score for _, _, score in digits], np.float32)
    return Detections(boxes, boxes.astype(np.float32), labels, scores, False)


def drawn(image: np.ndarray, *digits: tuple[list[int], int, float]) -> np.ndarray:
    """Draws detections of (box, label, score) and returns the picture."""
    return np.asarray(draw_detections(image, detections_of(*digits)))


def in_colour(picture: np.ndarray, label: int) -> np.ndarray:
    """Returns which pixels have a class's colour."""
    return (picture == RGB[label]).all(axis=-1)


def maps_of(height: int, width: int) -> ResponseMaps:
    """Returns response maps of random logits for an image of this size."""
    logits = RNG.normal(size=(1, (height - 28) // 2 + 1, (width - 28) // 2 + 1, 10))
    return to_response_maps(jnp.asarray(logits, jnp.float32))


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [(28, 28, 12), (100, 160, 4), (319, 319, 2), (320, 400, 1), (900, 700, 1), (28, 1500, 1)],
)
def test_small_images_are_enlarged_by_a_whole_factor(height: int, width: int, factor: int) -> None:
    image = noise(height, width)
    picture = draw_detections(image, detections_of())
    assert (picture.mode, picture.size) == ("RGB", (factor * width, factor * height))
    expected = image.repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_array_equal(np.asarray(picture), np.stack([expected] * 3, axis=-1))


def test_draw_detections_does_not_change_its_image() -> None:
    image = noise(40, 40)
    before = image.copy()
    draw_detections(image, detections_of(([4, 4, 20, 20], 1, 0.9)))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("label", range(10))
def test_a_box_is_drawn_just_outside_its_pixels(label: int) -> None:
    image = noise(100, 100)  # drawn four times as large
    x0, y0, x1, y1 = 30, 40, 52, 56  # 64 px high when drawn: the line has its least width, 2 px
    picture = drawn(image, ([x0, y0, x1, y1], label, 0.9))
    plain = drawn(image)
    top, bottom, left, right = 4 * y0, 4 * y1, 4 * x0, 4 * x1
    inside = picture[top:bottom, left:right]
    np.testing.assert_array_equal(inside, plain[top:bottom, left:right])
    line = in_colour(picture, label)
    assert line[top - 2 : top, left - 2 : right + 2].all()
    assert line[bottom : bottom + 2, left - 2 : right + 2].all()
    assert line[top - 2 : bottom + 2, left - 2 : left].all()
    assert line[top - 2 : bottom + 2, right : right + 2].all()
    assert (picture[bottom + 2, left - 3 : right + 3] == 0).all()  # the black line around it
    assert (picture[top : bottom + 3, right + 2] == 0).all()


@pytest.mark.parametrize(
    "box", [[0, 0, 100, 100], [0, 0, 5, 5], [95, 95, 100, 100], [-9, -9, 30, 30], [90, 0, 120, 9]]
)
def test_a_box_at_the_edge_is_drawn_inside_the_picture(box: list[int]) -> None:
    picture = drawn(np.zeros((100, 100), np.uint8), (box, 3, 0.9))
    assert picture.shape == (400, 400, 3)
    x0, y0, x1, y1 = np.clip(4 * np.array(box), 0, 399)
    coloured_or_text = in_colour(picture, 3) | (picture == 0).all(axis=-1)
    line = in_colour(picture, 3)
    assert line[y1, (x0 + x1) // 2 : x1].all() or line[y1 - 1, (x0 + x1) // 2 : x1].all()
    assert line[(y0 + y1) // 2 : y1, x1].all() or line[(y0 + y1) // 2 : y1, x1 - 1].all()
    assert coloured_or_text[y0, x0]


def test_the_label_is_written_above_the_box() -> None:
    image = np.full((320, 320), 128, np.uint8)
    plate = in_colour(drawn(image, ([100, 100, 180, 180], 7, 0.93)), 7)
    rows, columns = np.nonzero(plate[:97])
    assert 12 <= 97 - rows.min() <= 40
    assert columns.min() == 98
    assert 30 <= np.ptp(columns) <= 80
    texts = {
        drawn(image, ([100, 100, 180, 180], 7, score))[:97].tobytes() for score in (0.93, 0.94, 1)
    }
    assert len(texts) == 3


@pytest.mark.parametrize(("height", "line", "font"), [(30, 2, 14), (100, 3, 25), (200, 6, 50)])
def test_lines_and_labels_scale_with_the_height_of_the_digits(
    height: int, line: int, font: int
) -> None:
    image = np.full((400, 1000), 128, np.uint8)  # large enough not to be enlarged
    box = [100, 150, 100 + height, 150 + height]
    coloured = in_colour(drawn(image, (box, 7, 0.93)), 7)
    assert coloured[150 + height :, 100 + height // 2].sum() == line
    label_rows = coloured[: 150 - line, 100].sum()  # its left margin, beside the text
    assert 0.8 * font <= label_rows <= 1.4 * font


def test_labels_do_not_overlap() -> None:
    image = np.full((320, 320), 128, np.uint8)
    digits = [([100 + 26 * k, 100, 120 + 26 * k, 120], 4 + k, 0.9 - 0.1 * k) for k in range(2)]
    together = drawn(image, *digits)
    for digit in digits:  # each as much as if it were alone, where two above would overlap
        alone = in_colour(drawn(image, digit), digit[1])
        assert alone[:97].sum() > 26 * 12
        assert in_colour(together, digit[1]).sum() == alone.sum()
    assert in_colour(together, 5)[123:].any()


def test_labels_without_room_are_drawn_over_others() -> None:
    digits = [([8, 8, 20, 20], k % 10, 1 - k / 50) for k in range(50)]
    for image, shape in ((noise(28, 28), (336, 336, 3)), (noise(28, 1990), (28, 1990, 3))):
        picture = drawn(image, *digits)
        assert picture.shape == shape
        assert in_colour(picture, 9).any()  # the label of the lowest score, which is drawn last


def test_the_highest_score_lies_on_top() -> None:
    box = [100, 100, 180, 180]
    picture = drawn(noise(320, 320), (box, 1, 0.95), (box, 2, 0.85))
    assert in_colour(picture, 1)[180:182, 100:180].all()


def test_the_colours_are_ten_and_black_is_legible_on_each() -> None:
    """A contrast of 7 : 1, the stricter of WCAG's two."""
    assert len(set(COLOURS)) == 10
    light = RGB / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    luminance = light @ [0.2126, 0.7152, 0.0722]
    assert ((luminance + 0.05) / 0.05 >= 7).all()


@pytest.mark.parametrize(("height", "width"), [(28, 28), (101, 40)])
def test_figures_are_written_whole(tmp_path: Path, height: int, width: int) -> None:
    paths = tmp_path / "classes.png", tmp_path / "confidence.png"
    draw_response_maps(noise(height, width), maps_of(height, width), *paths)
    assert set(tmp_path.iterdir()) == set(paths)
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert picture.width == 1800
            assert 200 < picture.height < 1500


def test_figure_5_shows_ten_classes_and_figure_6_margin_and_entropy() -> None:
    image, maps = noise(40, 50), maps_of(40, 50)
    probabilities = np.asarray(maps.probabilities[0])
    axes = _class_figure(image, probabilities).axes
    assert [ax.get_title() for ax in axes[:11]] == ["input", *"0123456789"]
    assert len(axes) == 12  # the last is the colour bar, which all share
    assert {ax.images[0].get_clim() for ax in axes[1:11]} == {(0, 1)}
    for digit, ax in enumerate(axes[1:11]):
        np.testing.assert_array_equal(ax.images[0].get_array(), probabilities[..., digit])
    axes = _confidence_figure(image, probabilities[..., 0], probabilities[..., 1]).axes
    assert [ax.get_title() for ax in axes[:3]] == ["input", "margin", "entropy"]


@pytest.mark.parametrize("cell", [(0, 0), (3, 11), (6, 0), (6, 11)])
def test_maps_lie_over_the_centres_of_their_windows(cell: tuple[int, int]) -> None:
    """One confident window, looked for in the rendered figure where its centre is in the image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    probabilities = np.zeros((7, 12, 10), np.float32)
    probabilities[(*cell, 4)] = 1
    figure = _class_figure(noise(40, 50), probabilities)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    rendered = np.asarray(canvas.buffer_rgba())
    axes = figure.axes[5]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 50), (40, 0))

    def red(x: float, y: float) -> bool:
        across, up = axes.transData.transform((x, y))
        r, g, b, _ = (int(part) for part in rendered[rendered.shape[0] - int(up) - 1, int(across)])
        return r > 100 and g < 30 and b < 30

    x0, y0, x1, y1 = window_of_cell(*cell)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    assert red(x, y)
    assert red(x - 0.7, y - 0.7)
    assert red(x + 0.7, y + 0.7)
    assert not any([red(x - 1.5, y), red(x + 1.5, y), red(x, y - 1.5), red(x, y + 1.5)])


@pytest.mark.parametrize("size", [(42, 50), (40, 52), (28, 28)])
def test_maps_of_another_image_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    paths = tmp_path / "classes.png", tmp_path / "confidence.png"
    with pytest.raises(ValueError, match=r"with \[1, 7, 12\] windows for an image of \[40, 50"):
        draw_response_maps(noise(40, 50), maps_of(*size), *paths)
    assert not list(tmp_path.iterdir())
