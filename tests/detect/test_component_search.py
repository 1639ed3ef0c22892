"""The search in components of ink, on pages of real digits that the network reads surely."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from clear_digits import ClearDigits, Page, ink_box, page_of, touching

from digits_jax.detect.calibration import calibrate_scores
from digits_jax.detect.config import DEFAULT_CONFIG, UNCALIBRATED
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector, detect, detect_batch
from digits_jax.detect.rulings import erase_rulings
from digits_jax.models.cnn import Params


def assert_finds(detections: Detections, page: Page) -> None:
    """Checks that all digits of a page are found, with their exact boxes, and nothing else."""
    found = sorted(zip(detections.boxes_xyxy.tolist(), detections.labels.tolist(), strict=True))
    expected = sorted(zip(page.boxes_xyxy.tolist(), page.labels.tolist(), strict=True))
    assert found == expected


def assert_equal(detections: Detections, expected: Detections) -> None:
    for array, expected_array in zip(detections, expected, strict=True):
        np.testing.assert_array_equal(array, expected_array)


@pytest.fixture(scope="module")
def page(clear_digits: ClearDigits) -> Page:
    """48 digits of 16 to 63 px."""
    return page_of(clear_digits.of_sides(range(16, 64)), columns=8)


@pytest.fixture(scope="module")
def found(detector: Detector, page: Page) -> Detections:
    return detector.detect(page.image)


def test_every_digit_of_a_page_is_found_with_its_exact_box(found: Detections, page: Page) -> None:
    assert_finds(found, page)


def test_boxes_stay_exact_where_single_digits_are_searched_by_windows(
    params: Params, clear_digits: ClearDigits
) -> None:
    """A window that shows a whole component is no digit of its own, with a box of its own."""
    touching = dataclasses.replace(DEFAULT_CONFIG.touching, min_probability=0.0)
    config = dataclasses.replace(DEFAULT_CONFIG, touching=touching)
    page = page_of(clear_digits.of_sides(range(30, 62, 4), label=8), columns=4)
    assert_finds(detect(params, page.image, config=config), page)


def test_detections_have_their_types_and_are_sorted(found: Detections) -> None:
    count = len(found.labels)
    assert found.probabilities is not None
    assert found.probabilities.shape == (count, 10)
    assert [array.shape for array in found[:4]] == [(count, 4), (count, 4), (count,), (count,)]
    types = [array.dtype for array in (*found[:4], found.probabilities)]
    assert types == [np.int64, np.float32, np.int64, np.float32, np.float32]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(found.probabilities.argmax(axis=1), found.labels)
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= DEFAULT_CONFIG.min_score) & (found.scores <= 1)).all()
    assert found.truncated is False


def test_windows_are_squares_around_the_boxes_1_4_times_as_large(
    found: Detections, page: Page
) -> None:
    is_component = [box in page.boxes_xyxy.tolist() for box in found.boxes_xyxy.tolist()]
    windows, boxes = found.windows_xyxy[is_component], found.boxes_xyxy[is_component]
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    sides = windows[:, 2:] - windows[:, :2]
    np.testing.assert_allclose(sides, 1.4 * longer[:, None].repeat(2, axis=1), rtol=1e-6)
    middles, expected = (array.reshape(-1, 2, 2).mean(axis=1) for array in (windows, boxes))
    np.testing.assert_allclose(middles, expected, atol=1e-3)


def test_digits_of_16_px_and_of_600_px_are_found_in_one_picture(
    detector: Detector, clear_digits: ClearDigits
) -> None:
    (large,) = clear_digits.of_sides([600])
    small = page_of(clear_digits.of_sides([16] * 24), columns=24)
    height, width = large.ink.shape
    image = np.zeros((height + 60, max(width + 40, small.image.shape[1])), np.uint8)
    image[20 : 20 + height, 20 : 20 + width] = large.ink
    image[height + 30 :][: small.image.shape[0], : small.image.shape[1]] = small.image
    boxes = small.boxes_xyxy + np.array([0, height + 30] * 2)
    boxes = np.concatenate([boxes, ink_box(image[: height + 30])[None]])
    found = detector.detect(image)
    order, expected = np.lexsort(found.boxes_xyxy[:, :2].T), np.lexsort(boxes[:, :2].T)
    np.testing.assert_allclose(found.boxes_xyxy[order], boxes[expected], atol=1)
    labels = np.append(small.labels, large.label)
    np.testing.assert_array_equal(found.labels[order], labels[expected])


def test_all_of_400_digits_are_found(detector: Detector, clear_digits: ClearDigits) -> None:
    page = page_of(clear_digits.of_sides([20] * 400), columns=20)
    assert_finds(detector.detect(page.image), page)


@pytest.mark.parametrize("label", [1, 7])
def test_straight_strokes_of_a_digit_by_itself_are_no_rulings(
    label: int, detector: Detector, clear_digits: ClearDigits
) -> None:
    for digit in clear_digits.of_sides([20, 60, 200], label=label):
        page = page_of([digit], columns=1)
        assert_finds(detector.detect(page.image), page)


def test_digits_in_a_grid_are_found_without_its_lines(
    detector: Detector, clear_digits: ClearDigits
) -> None:
    page = page_of(clear_digits.of_sides([24] * 36), columns=6, gap=10)
    image = page.image.copy()
    image[::34] = image[1::34] = image[:, ::34] = image[:, 1::34] = 255
    assert erase_rulings(image > 100, DEFAULT_CONFIG.rulings) is not None
    assert_finds(detector.detect(image), page)


def test_lines_beside_digits_are_no_clutter_but_scribbles_are(
    params: Params, clear_digits: ClearDigits
) -> None:
    """Tilted lines, which are not erased as rulings are; and blots as high as the digits."""
    config = dataclasses.replace(DEFAULT_CONFIG, reliability=UNCALIBRATED, min_score=0.3)
    detector = Detector(params, config)
    page = page_of(clear_digits.of_sides([40] * 4), columns=4)
    height = len(page.image)
    image = np.pad(page.image, ((0, 400), (0, 100)))
    lined, blotted = image.copy(), image.copy()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    for top in range(height + 30, height + 380, 40):
        for left in (20, 160):
            on_line = np.abs(y - top - 0.1 * (x - left)) < 1.5
            lined[on_line & (x >= left) & (x < left + 100)] = 255
            blotted[top : top + 30, left : left + 40 : 2] = 255
            blotted[top : top + 30 : 4, left : left + 40] = 255
    scores = [
        sorted(
            score
            for score, box in zip(found.scores, found.boxes_xyxy.tolist(), strict=True)
            if box in page.boxes_xyxy.tolist()
        )
        for found in map(detector.detect, (image, lined, blotted))
    ]
    assert len(scores[0]) == 4
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)
    assert not scores[2] or max(scores[2]) < min(scores[0]) - 0.1


def test_sizes_narrow_what_is_found(params: Params, page: Page) -> None:
    """A digit's size is 1.4 times the longer side of its box."""
    sizes = 1.4 * (page.boxes_xyxy[:, 2:] - page.boxes_xyxy[:, :2]).max(axis=1)
    inside = sizes >= 40
    found = detect(params, page.image, min_size=40.0)
    assert_finds(found, Page(page.image, page.boxes_xyxy[inside], page.labels[inside]))
    inside &= sizes <= 60
    found = detect(params, page.image, min_size=40.0, max_size=60.0)
    boxes = found.boxes_xyxy.tolist()
    assert all(box in boxes for box in page.boxes_xyxy[inside].tolist())
    sides = found.windows_xyxy[:, 2] - found.windows_xyxy[:, 0]
    assert ((sides > 39.99) & (sides < 60.01)).all()


def test_a_limit_keeps_the_best_and_says_that_there_were_more(
    params: Params, page: Page, found: Detections
) -> None:
    best = detect(params, page.image, max_detections=5)
    assert best.truncated is True
    np.testing.assert_array_equal(best.scores, found.scores[:5])
    assert not detect(params, page.image, max_detections=len(found.labels)).truncated


def test_what_is_found_in_a_picture_does_not_depend_on_the_others(
    params: Params, detector: Detector, page: Page
) -> None:
    """Numbers of crops that are classified at once change probabilities by rounding alone."""
    height, width = page.image.shape
    images = np.stack([page.image, np.zeros((height, width), np.uint8), page.image[::-1]])
    batch = detect_batch(params, images)
    assert not batch.valid[1].any()
    streamed = detector.detect_each(enumerate(images), batch_size=lambda shape: 2)
    for k, (name, image, of_stream) in enumerate(streamed):
        alone = detector.detect(images[k])
        assert name == k
        np.testing.assert_array_equal(image, images[k])
        for detections in (batch.of_image(k), of_stream):
            by_place = [np.lexsort(d.boxes_xyxy.T) for d in (alone, detections)]
            for array, expected in zip(detections[:4], alone[:4], strict=True):
                tolerance: Any = 1e-4 if array.dtype == np.float32 else 0
                np.testing.assert_allclose(
                    array[by_place[1]], expected[by_place[0]], rtol=0, atol=tolerance
                )


def test_grey_levels_fractions_and_a_channel_are_the_same_image(
    detector: Detector, page: Page, found: Detections
) -> None:
    fractions = page.image.astype(np.float32) / 255
    for same in (fractions, fractions.astype(np.float64), page.image[..., None]):
        assert_equal(detector.detect(same), found)


def test_a_search_repeated_has_the_same_bits(
    params: Params, detector: Detector, page: Page, found: Detections
) -> None:
    assert_equal(detector.detect(page.image), found)
    assert_equal(Detector(params).detect(page.image), found)


def test_from_score_gives_the_detections_of_a_higher_threshold(
    params: Params, clear_digits: ClearDigits
) -> None:
    """Of touching digits, some of which are doubtful."""
    digits = clear_digits.of_sides([40] * 8)
    pairs = [touching(*digits[k : k + 2])[0] for k in range(0, 8, 2)]
    image = np.concatenate([np.pad(pair, ((0, 0), (0, 160 - pair.shape[1]))) for pair in pairs])
    config = dataclasses.replace(DEFAULT_CONFIG, min_score=0.01)
    all_of_them = Detector(params, config).detect(image)
    for score in (0.3, 0.9, 0.999):
        assert_equal(detect(params, image, min_score=score), all_of_them.from_score(score))


@pytest.mark.parametrize("method", ["components", pytest.param("windows", marks=pytest.mark.slow)])
def test_calibration_changes_the_scores_and_nothing_else(
    method: str, params: Params, clear_digits: ClearDigits
) -> None:
    """A threshold of 0.6 after it is one of 0.4 before."""
    digits = clear_digits.of_sides([40] * 2)
    image = np.pad(touching(*digits)[0], 10)
    points = ((0.0, 0.0), (0.4, 0.6), (1.0, 1.0))
    before = dataclasses.replace(
        DEFAULT_CONFIG, method=method, reliability=UNCALIBRATED, min_score=0.4
    )
    after = dataclasses.replace(before, reliability=points, min_score=0.6)
    raw, calibrated = (Detector(params, config).detect(image) for config in (before, after))
    assert len(raw.scores)
    assert_equal(calibrated, raw._replace(scores=calibrate_scores(raw.scores, points)))
    ((_, _, streamed),) = Detector(params, after).detect_each([("image", image)])
    assert_equal(streamed, calibrated)


@pytest.mark.parametrize("grey", [0, 80, 255])
def test_blank_paper_of_any_grey_has_no_digits(grey: int, detector: Detector) -> None:
    none = detector.detect(np.full((140, 140), grey, np.uint8))
    assert none.boxes_xyxy.shape == none.windows_xyxy.shape == (0, 4)
    assert none.probabilities is not None
    assert none.probabilities.shape == (0, 10)
    assert none.truncated is False


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (20, 3)])
def test_pictures_of_few_pixels_are_searched(shape: tuple[int, int], detector: Detector) -> None:
    detector.detect(np.full(shape, 255, np.uint8))
