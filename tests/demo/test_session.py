"""The searches of the demo page, and what it displays of them, without the page."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pillow_heif
import pytest
from command_line import save_image
from page_cases import blue_on_yellow, detections_of, result_of
from pdf_files import pdf_of_pictures
from PIL import Image, ImageDraw

from digits_jax.data.mnist import Mnist
from digits_jax.demo import session
from digits_jax.demo.drawing_pad import PAD_SIDE_PX, STROKE_WIDTH_PX
from digits_jax.demo.session import (
    ANY_SIZE,
    MAX_DISPLAY_SIDE_PX,
    MAX_MAP_DIGIT_PX,
    SEARCH_MIN_SCORE,
    SIZE_RANGES,
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
from digits_jax.models.fcn.response_maps import ResponseMaps, to_response_maps

HUGE_WINDOW = np.array([[0, 0, 5000, 5000]], np.float32)


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


def test_the_first_page_of_a_file_is_searched_and_the_sentence_says_so(tmp_path: Path) -> None:
    """PDF, TIFF and HEIC files, as the command reads them."""
    ink = np.zeros((40, 50), np.uint8)
    ink[10:30, 20:24] = 255
    (tmp_path / "a.pdf").write_bytes(pdf_of_pictures(ink, ink, ink))
    images = [Image.fromarray(ink)] * 3
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    pillow_heif.from_pillow(images[0]).save(tmp_path / "a.heic")
    for suffix, where in (
        (".pdf", ", the first of 3 pages"),
        (".tif", ", the first of 3 pages"),
        (".heic", ""),
    ):
        source = picture_from_file(tmp_path / f"a{suffix}")
        result = search_picture({}, source, None, normalised=True, detect=RecordingDetector())
        assert display(result, 0.5)[1].startswith(f"0 digits in a{suffix}{where}, searched for")


def test_the_sentence_says_that_there_are_more_digits() -> None:
    """By the limit of the weights' configuration, or by the candidates of the search of windows."""
    result = result_of([0.9], truncated=True)
    assert "There may be more: not all candidates were examined." in display(result, 0.5)[1]
    limited = result._replace(max_detections=7)
    assert "There are more: the weights' configuration allows 7." in display(limited, 0.5)[1]
    for other in (result_of([0.9]), result_of([0.9])._replace(max_detections=7)):
        assert "more" not in display(other, 0.5)[1]


def test_best_detection_size_is_28_px_without_detections_and_has_a_limit() -> None:
    assert best_detection_size(result_of([0.9])) == 31
    assert best_detection_size(result_of([])) == 28
    huge = result_of([0.9])
    huge = huge._replace(detections=huge.detections._replace(windows_xyxy=HUGE_WINDOW))
    assert best_detection_size(huge) == MAX_MAP_DIGIT_PX


def test_pictures_of_any_size_are_searched_as_they_are(tmp_path: Path) -> None:
    detector = RecordingDetector()
    image = np.zeros((30, 5000), np.uint8)
    image[:, 2500:] = 200
    source = picture_from_file(save_image(tmp_path / "large.png", image))
    assert source.name == "large.png"
    large = search_picture({}, source, None, normalised=False, detect=detector)
    np.testing.assert_array_equal(large.ink, image)
    assert "searched for digits of 12 px and more in " in large.summary
    assert display(large, 0.5)[0].size == (MAX_DISPLAY_SIDE_PX, 14)
    assert display(large, 0.5)[2]["width"] == 5000
    for sizes, words in zip(SIZE_RANGES, ("12 to 60", "30 to 250", "120"), strict=True):
        result = search_picture({}, source, sizes, normalised=False, detect=detector)
        assert f"digits of {words} px" in result.summary
    searched = [(config.min_size, config.max_size) for config in detector.configs]
    assert searched == [ANY_SIZE, *SIZE_RANGES]


def test_sizes_of_the_page_only_narrow_those_of_the_detector() -> None:
    for low, high in SIZE_RANGES:
        assert low >= DEFAULT_CONFIG.min_size
        assert high is None or high > low
    assert DEFAULT_CONFIG.max_size is None


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


def test_maps_of_a_large_picture_are_those_of_a_smaller_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 1000×80 px, of which 200 px a side are mapped: digits of 28 px have 5.6 px there."""
    shapes = []

    def record(_: Params, images: jax.Array) -> ResponseMaps:
        shapes.append(images.shape)
        return to_response_maps(jnp.zeros((1, 8, 100, 10)))

    monkeypatch.setattr(session, "MAX_MAP_SIDE_PX", 200)
    monkeypatch.setattr(session, "response_maps", record)
    maps = draw_maps({}, np.zeros((80, 1000), np.uint8), 28)
    assert shapes == [(1, 16 + 26, 200 + 26, 1)]
    assert {picture.size for picture, _ in maps} == {(1000, 80)}


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
