"""Detection in strips of rows: the digits of the whole image, wherever it is cut."""

import dataclasses

import numpy as np
import pytest
from clear_digits import ClearDigits, page_of

from digits_jax.data.scenes import compose
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.strips import REACH_PX, plan_strips
from digits_jax.models.cnn import Params
from digits_jax.runtime.errors import ArgumentError

EXTRA = 4 * REACH_PX  # rows that a strip reads beyond those that it owns
SCORE_TOLERANCE = 2e-3  # a sure reading's score magnifies the rounding of another block of crops


class Rows:
    """Rows of an image in memory, which remembers the most rows that were read at once."""

    def __init__(self, image: np.ndarray):
        self.image, self.most = image, 0

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.image.shape
        return height, width

    def read(self, begin: int, end: int) -> np.ndarray:
        assert 0 <= begin < end <= len(self.image)
        self.most = max(self.most, end - begin)
        return self.image[begin:end]


def assert_same_digits(found: Detections, expected: Detections) -> None:
    first, second = (
        sorted(zip(d.boxes_xyxy.tolist(), d.labels.tolist(), d.scores.tolist(), strict=True))
        for d in (found, expected)
    )
    assert [digit[:2] for digit in first] == [digit[:2] for digit in second]
    assert [digit[2] for digit in first] == pytest.approx(
        [digit[2] for digit in second], abs=SCORE_TOLERANCE
    )


@pytest.fixture(scope="module")
def tall_page() -> np.ndarray:
    """Scenes of overlapping digits on clutter, one below the other, with rulings between some."""
    scenes = [scene.image for scene in compose("mnist-od", "validation", 4, seed=3)]
    page = np.concatenate(scenes)
    page[300:1200:300, 20:280] = 255
    return page


@pytest.mark.slow
@pytest.mark.parametrize("owned", [256, 411, 5000])
def test_strips_find_the_digits_of_the_whole_image(
    detector: Detector, tall_page: np.ndarray, owned: int
) -> None:
    """With 5,000 rows there is one strip."""
    rows = Rows(tall_page)
    found = detector.detect_rows(rows, strip_pixels=tall_page.shape[1] * (owned + EXTRA))
    whole = detector.detect(tall_page)
    assert len(whole.labels) >= 30
    assert_same_digits(found, whole)
    assert rows.most <= 4 / 3 * (owned + EXTRA) + 1


def test_strips_of_few_rows_find_each_digit_once(
    detector: Detector, clear_digits: ClearDigits
) -> None:
    """Of 256 rows, the fewest; some digits lie across the border of two strips."""
    page = page_of(clear_digits.of_sides([24, 30, 70] * 3), columns=1).image
    assert page.shape[0] > 2 * 256
    found = detector.detect_rows(Rows(page), strip_pixels=1)
    assert len(found.labels) == 9
    assert_same_digits(found, detector.detect(page))


def test_strips_own_all_rows_once_and_hold_whole_components(clear_digits: ClearDigits) -> None:
    page = page_of(clear_digits.of_sides([40] * 60), columns=2).image
    page[100:620, 5] = 255  # longer than the rows that are usually read
    strips = list(plan_strips(Rows(page), 0.18, strip_pixels=page.shape[1] * (100 + EXTRA)))
    owned = [row for strip in strips for row in range(strip.begin, strip.end)]
    assert owned == list(range(len(page)))
    assert all(strip.top <= strip.begin < strip.end <= strip.bottom for strip in strips)
    holder = next(strip for strip in strips if strip.begin <= 100 < strip.end)
    assert holder.bottom >= min(620 + REACH_PX, len(page))
    assert not any(strip.is_cut for strip in strips)


@pytest.mark.slow
def test_ink_higher_than_a_strip_is_searched_in_parts_and_a_line_says_so(
    params: Params, clear_digits: ClearDigits
) -> None:
    """A frame runs around the page; the digits in it are found in all strips, each once."""
    page = page_of(clear_digits.of_sides([40] * 120), columns=2)
    image = np.pad(page.image, 20)
    image[[4, -5], 4:-4] = image[4:-4, [4, -5]] = 255
    lines: list[str] = []
    detector = Detector(params, log=lines.append)
    found = detector.detect_rows(Rows(image), strip_pixels=image.shape[1] * (300 + EXTRA))
    expected = sorted(zip((page.boxes_xyxy + 20).tolist(), page.labels.tolist(), strict=True))
    digits = zip(found.boxes_xyxy.tolist(), found.labels.tolist(), strict=True)
    # Pieces of the frame may look like a 1.
    assert sorted(d for d in digits if d[0][0] >= 20 and d[0][2] <= image.shape[1] - 20) == expected
    assert any("is searched in parts" in line for line in lines)


def test_the_search_of_all_windows_is_refused(params: Params) -> None:
    detector = Detector(params, dataclasses.replace(DEFAULT_CONFIG, method="windows"))
    with pytest.raises(ArgumentError, match='got "windows"; leave the method out'):
        detector.detect_rows(Rows(np.zeros((50, 50), np.uint8)))
