"""The searches of the demo page, and what it displays of them, without the page."""

from pathlib import Path

import numpy as np
from command_line import save_image
from page_cases import blue_on_yellow, detections_of, result_of
from PIL import Image, ImageDraw

from digits_jax.data.mnist import Mnist
from digits_jax.demo.drawing_pad import PAD_SIDE_PX, STROKE_WIDTH_PX
from digits_jax.demo.session import (
    LARGE_DIGITS,
    SEARCH_MIN_SCORE,
    SMALL_DIGITS,
    best_detection_size,
    display,
    draw_maps,
    picture_from_file,
    search_picture,
)
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.inputs import Ink
from digits_jax.detect.visualize import overlay_map
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image
from digits_jax.models.cnn import Params


class RecordingDetector:
    """Finds nothing, and records the images and the configs that it was called with."""

    def __init__(self) -> None:
        self.images: list[Ink] = []
        self.configs: list[DetectorConfig] = []

    def __call__(self, _: Params, config: DetectorConfig, ink: Ink) -> Detections:
        self.images.append(ink)
        self.configs.append(config)
        return detections_of([])


def test_the_threshold_filters_the_detections_of_one_search() -> None:
    result = result_of([0.9, 0.7, 0.3])
    for score, labels in ((0.05, [0, 1, 2]), (0.5, [0, 1]), (0.9, [0]), (1.0, [])):
        _, sentence, json = display(result, score)
        assert [digit["label"] for digit in json["detections"]] == labels
        digits = "digit" if len(labels) == 1 else "digits"
        assert sentence.startswith(f"{len(labels)} {digits} in some.png")
    assert (json["image"], json["width"], json["height"]) == ("some.png", 50, 40)


def test_the_sentence_says_that_candidates_were_dropped_and_how_many_were_examined() -> None:
    result = result_of([0.9], truncated=True)
    sentence = f"only the {DEFAULT_CONFIG.max_detections} likeliest"
    assert sentence in display(result, 0.5)[1]
    assert "only the 7 likeliest" in display(result._replace(max_detections=7), 0.5)[1]
    assert "likeliest" not in display(result_of([0.9]), 0.5)[1]


def test_best_detection_size_is_28_px_without_detections() -> None:
    assert best_detection_size(result_of([0.9])) == 31
    assert best_detection_size(result_of([])) == 28


def test_pictures_over_1200_px_are_scaled_down_and_the_summary_says_so(tmp_path: Path) -> None:
    detector = RecordingDetector()
    image = np.zeros((30, 2400), np.uint8)
    image[:, 1200:] = 200
    source = picture_from_file(save_image(tmp_path / "large.png", image))
    large = search_picture({}, source, None, normalised=False, detect=detector)
    np.testing.assert_array_equal(large.ink, image[::2, ::2])
    assert "2400×30 to 1200×15 px" in large.summary
    source = picture_from_file(save_image(tmp_path / "small.png", image[:, 1000:1400]))
    small = search_picture({}, source, None, normalised=False, detect=detector)
    np.testing.assert_array_equal(small.ink, image[:, 1000:1400])
    assert source.name == "small.png"
    assert "scaled" not in small.summary
    sizes = [(config.min_size, config.max_size) for config in detector.configs]
    assert sizes == [LARGE_DIGITS, SMALL_DIGITS]


def test_search_picture_searches_the_normalised_ink(tmp_path: Path, mnist: Mnist) -> None:
    detector = RecordingDetector()
    picture = blue_on_yellow(np.asarray(mnist.validation.images[0]))
    path = save_image(tmp_path / "page.png", picture)
    for normalised, ink in ((True, normalise(picture)), (False, read_image(path))):
        source = picture_from_file(path)
        result = search_picture({}, source, None, normalised=normalised, detect=detector)
        np.testing.assert_array_equal(result.picture, picture if normalised else ink)
        np.testing.assert_array_equal(result.ink, ink)
        np.testing.assert_array_equal(detector.images.pop(), ink)


def test_search_picture_uses_the_config_of_the_weights(tmp_path: Path) -> None:
    detector = RecordingDetector()
    config = DetectorConfig(min_score=0.4, photo_min_score=0.8, max_detections=7)
    photo = save_image(tmp_path / "photo.png", np.full((40, 40, 3), 200, np.uint8))
    source = picture_from_file(photo)
    result = search_picture(
        {}, source, (20.0, 30.0), normalised=True, config=config, detect=detector
    )
    assert (result.default_min_score, result.max_detections) == (0.8, 7)
    expected = DetectorConfig(
        min_size=20.0,
        max_size=30.0,
        min_score=SEARCH_MIN_SCORE,
        photo_min_score=0.8,
        max_detections=7,
    )
    assert detector.configs == [expected]


def test_normalising_a_drawing_leaves_it_as_it_is() -> None:
    drawing = Image.new("L", (PAD_SIDE_PX, PAD_SIDE_PX))
    for y0, y1 in ((80, 116), (104, 150)):  # an 8, a quarter as high as the pad
        ImageDraw.Draw(drawing).ellipse((100, y0, 140, y1), outline=255, width=STROKE_WIDTH_PX)
    np.testing.assert_array_equal(normalise(np.asarray(drawing)), np.asarray(drawing))


def test_an_overlay_colours_each_cell_at_its_place() -> None:
    image = np.full((4, 6), 100, np.uint8)
    values = np.zeros((2, 3), np.float32)
    values[1, 2] = 1
    colours = np.asarray(overlay_map(image, values), np.int64)
    assert colours.shape == (4, 6, 3)
    red, green, blue = colours[2:, 4:].reshape(-1, 3).T
    assert (red > green).all()
    assert (red > blue).all()
    others = np.delete(colours.reshape(-1, 3), [16, 17, 22, 23], axis=0)
    assert (others[:, 2] > others[:, 0]).all()


def test_maps_cover_the_picture_and_are_red_at_the_digit(params: Params, mnist: Mnist) -> None:
    digit, label = np.asarray(mnist.validation.images[0]), int(mnist.validation.labels[0])
    image = np.zeros((112, 168), np.uint8)
    image[28:84, 28:84] = digit.repeat(2, 0).repeat(2, 1)
    maps = {name: picture for picture, name in draw_maps(params, image, 56)}
    assert list(maps) == ["margin", *map(str, range(10))]
    for name in ("margin", str(label)):
        colours = np.asarray(maps[name], np.int64)
        assert colours.shape == (112, 168, 3)
        red, _, blue = colours[55, 55]  # the middle of the digit
        assert red > blue
        red, _, blue = colours[100, 160]  # far from the digit
        assert blue > red
