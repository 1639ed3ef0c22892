"""Windows that are proposed inside components."""

import dataclasses

import numpy as np
import pytest
from clear_digits import ClearDigits

from digits_jax.data.mnist import Mnist
from digits_jax.detect.components import Component, find_components
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.window_proposals import propose_windows, thin_strokes, window_sizes
from digits_jax.images.mask_box import INK_THRESHOLD

THRESHOLD = DEFAULT_CONFIG.components.ink_threshold


def component_of(image: np.ndarray) -> Component:
    (part,) = find_components(image, THRESHOLD, 1.0)
    return part


def bar(height: int, width: int) -> Component:
    return component_of(np.full((height, width), 255, np.uint8))


def test_sizes_descend_from_the_component_s_own_to_the_smallest_that_is_searched_for() -> None:
    ratio = DEFAULT_CONFIG.windows.scale_ratio
    for min_size in (12.0, 30.0):
        config = dataclasses.replace(DEFAULT_CONFIG, min_size=min_size)
        sizes, _ = window_sizes(bar(100, 3), config)
        assert sizes[0] == pytest.approx(140)  # 20 px of 28 are the digit's
        np.testing.assert_allclose(np.array(sizes[:-1]) / sizes[1:], ratio)
        assert min_size <= sizes[-1] < min_size * ratio


def test_windows_that_wide_strokes_would_fill_are_for_thin_strokes_alone() -> None:
    per_stroke = DEFAULT_CONFIG.windows.min_side_per_stroke
    for width in (5, 11, 21):
        sizes, thick = window_sizes(bar(200, width), DEFAULT_CONFIG)
        assert sizes[thick - 1] >= 0.8 * width * per_stroke
        assert sizes[thick] < 1.2 * width * per_stroke


def test_sizes_keep_to_the_sizes_that_are_searched_for() -> None:
    part = bar(100, 3)
    narrowed = dataclasses.replace(DEFAULT_CONFIG, min_size=40.0, max_size=90.0)
    sizes, _ = window_sizes(part, narrowed)
    assert sizes[0] == 90
    assert sizes[-1] >= 40
    assert window_sizes(part, DetectorConfig(min_size=150.0, max_size=200.0)) == ([], 0)


def test_strokes_that_are_much_thinner_than_the_others_are_found() -> None:
    """A digit of strokes 12 px wide, one of 3 px, and one of 9 px, which is not thin enough."""
    assert thin_strokes(bar(80, 12), 10.0, DEFAULT_CONFIG.windows) is None
    for width, is_thin in ((3, True), (9, False)):
        image = np.zeros((100, 140), np.uint8)
        image[10:90, 10:22] = image[10:90, 60:72] = image[78:90, 10:72] = 255
        image[40 : 40 + width, 72:120] = 255
        part = component_of(image)
        thin = thin_strokes(part, 10.0, DEFAULT_CONFIG.windows)
        if not is_thin:
            assert thin is None
            continue
        assert thin is not None
        stroke = np.zeros_like(part.mask)
        stroke[30 : 30 + width, 62:] = True
        assert (thin & stroke).sum() > 0.9 * stroke.sum()
        assert (thin & ~stroke).sum() < 0.1 * stroke.sum()
        assert thin_strokes(part, 60.0, DEFAULT_CONFIG.windows) is None  # shorter than that


def test_windows_show_what_the_component_holds_around_their_centres(
    clear_digits: ClearDigits,
) -> None:
    """At the window's own scale, so that nothing is interpolated."""
    left, right = (digit.ink for digit in clear_digits.of_sides([20, 20]))
    image = np.zeros((20, left.shape[1] + right.shape[1]), np.uint8)
    image[: len(left), : left.shape[1]] = left
    image[: len(right), left.shape[1] :] = right
    image[10, left.shape[1] - 4 : left.shape[1] + 4] = 255  # holds them together
    parts = find_components(image, THRESHOLD, 8.0)
    part = max(parts, key=lambda part: part.mask.size)
    windows = propose_windows(3, part, part.mask, 28.0, 4)
    assert windows.part == 3
    assert len(windows.crops) == len(windows.sides) == len(windows.centres_xy) > 2
    assert set(windows.sides.tolist()) == {28.0}
    padded = np.pad(part.ink, 28)
    for (x, y), crop in zip(windows.centres_xy.astype(int), windows.crops, strict=True):
        expected = padded[y + 14 : y + 42, x + 14 : x + 42].astype(np.float32)
        np.testing.assert_allclose(crop, expected / expected.max(), atol=1e-6)
    steps = np.diff(np.unique(windows.centres_xy[:, 0]))
    assert (steps == 4).all()


@pytest.mark.parametrize("side", [20, 37, 150, 600])
def test_a_digit_by_itself_is_in_the_middle_of_a_window_of_its_own_size(
    side: int, clear_digits: ClearDigits
) -> None:
    for digit in clear_digits.of_sides([side] * 5):
        part = component_of(digit.ink)
        size = window_sizes(part, DEFAULT_CONFIG)[0][0]
        windows = propose_windows(0, part, part.mask, size, 4)
        height, width = part.mask.shape
        distances = np.hypot(*(windows.centres_xy - (width / 2, height / 2)).T)
        assert distances.min() <= 3 * size / 28  # half of the diagonal between windows
        assert windows.crops.dtype == np.float32
        assert windows.crops.max(axis=(1, 2)) == pytest.approx(1)


def test_no_window_is_proposed_where_all_ink_is_explained_or_without_ink_in_the_middle(
    mnist: Mnist,
) -> None:
    part = component_of(np.pad(np.full((4, 4), 255, np.uint8), 30)[:, :50])
    assert len(propose_windows(0, part, part.mask, 28.0, 4).crops) == 0  # 4 px high
    line = bar(3, 200)
    assert len(propose_windows(0, line, line.mask, 28.0, 4).crops) == 0
    stroke = bar(20, 3)
    assert len(propose_windows(0, stroke, stroke.mask, 28.0, 4).crops) >= 1
    explained = np.zeros_like(stroke.mask)
    assert len(propose_windows(0, stroke, explained, 28.0, 4).crops) == 0


def test_all_windows_that_a_digit_may_fill_are_proposed(clear_digits: ClearDigits) -> None:
    """Found one by one: ink near the upper and the lower edge, and 12 px of it in the middle."""
    ink = np.zeros((60, 70), np.uint8)
    for k, digit in enumerate(clear_digits.of_sides([30, 24, 40])):
        height, width = digit.ink.shape
        y, x = 8 * k, 15 * k
        ink[y : y + height, x : x + width] |= digit.ink
    mask = ink > THRESHOLD * 255
    part = Component((0, 0, 70, 60), ink, mask)
    windows = propose_windows(0, part, mask, 28.0, 4)
    proposed = {(x, y) for x, y in windows.centres_xy.tolist()}
    padded, open_ink = np.pad(ink > INK_THRESHOLD * ink.max(), 28), np.pad(mask, 28)
    expected = set()
    for y in range(2, 62, 4):
        for x in range(3, 72, 4):
            shown = padded[y + 14 : y + 42, x + 14 : x + 42]
            middle = open_ink[y + 14 : y + 42, x + 14 : x + 42][6:22, 6:22]
            if shown[1:9, 4:24].any() and shown[19:27, 4:24].any() and middle.sum() >= 12:
                expected.add((float(x), float(y)))
    assert proposed == expected
    assert len(expected) > 10
