"""Windows that are proposed inside components."""

import dataclasses

import numpy as np
import pytest
from clear_digits import ClearDigits

from digits_jax.detect.components import Component, find_components
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.window_proposals import propose_windows, window_sizes
from digits_jax.images.mask_box import INK_THRESHOLD

THRESHOLD = DEFAULT_CONFIG.components.ink_threshold
WINDOWS = DEFAULT_CONFIG.windows


def component_of(image: np.ndarray) -> Component:
    (part,) = find_components(image, THRESHOLD, 1.0)
    return part


def bar(height: int, width: int) -> Component:
    return component_of(np.full((height, width), 255, np.uint8))


def test_sizes_descend_from_the_component_s_own_to_the_smallest_that_is_searched_for() -> None:
    ratio = DEFAULT_CONFIG.windows.scale_ratio
    for min_size in (12.0, 30.0):
        config = dataclasses.replace(DEFAULT_CONFIG, min_size=min_size)
        sizes = window_sizes(bar(100, 3), config)
        assert sizes[0] == pytest.approx(140)  # 20 px of 28 are the digit's
        np.testing.assert_allclose(np.array(sizes[:-1]) / sizes[1:], ratio)
        assert min_size <= sizes[-1] < min_size * ratio


def test_sizes_keep_to_the_sizes_that_are_searched_for() -> None:
    part = bar(100, 3)
    narrowed = dataclasses.replace(DEFAULT_CONFIG, min_size=40.0, max_size=90.0)
    sizes = window_sizes(part, narrowed)
    assert sizes[0] == 90
    assert sizes[-1] >= 40
    assert window_sizes(part, DetectorConfig(min_size=150.0, max_size=200.0)) == []


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
    windows = propose_windows(3, part, 28.0, WINDOWS)
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
        size = window_sizes(part, DEFAULT_CONFIG)[0]
        windows = propose_windows(0, part, size, WINDOWS)
        height, width = part.mask.shape
        distances = np.hypot(*(windows.centres_xy - (width / 2, height / 2)).T)
        assert distances.min() <= 3 * size / 28  # half of the diagonal between windows
        assert windows.crops.dtype == np.float32
        assert windows.crops.max(axis=(1, 2)) == pytest.approx(1)


def test_windows_whose_ink_no_digit_has_are_not_proposed() -> None:
    low = component_of(np.pad(np.full((4, 4), 255, np.uint8), 30)[:, :50])  # 4 px high
    for part, is_proposed in (
        (low, False),
        (bar(3, 200), False),  # nothing near the upper and the lower edge
        (bar(20, 3), True),
    ):
        windows = propose_windows(0, part, 28.0, WINDOWS)
        assert (len(windows.crops) > 0) == is_proposed
    # Of those that a block's ink fills, the ones at its border are left.
    shares = [
        (propose_windows(0, bar(60, 60), 28.0, config).crops > INK_THRESHOLD).mean(axis=(1, 2))
        for config in (WINDOWS, dataclasses.replace(WINDOWS, max_ink=1.0))
    ]
    assert len(shares[0]) > 0
    assert sorted(shares[0]) == sorted(share for share in shares[1] if share <= WINDOWS.max_ink)
    assert len(shares[0]) < len(shares[1])


def test_all_windows_that_a_digit_may_fill_are_proposed(clear_digits: ClearDigits) -> None:
    """Found one by one: ink near the upper and the lower edge, and enough, but not too much."""
    ink = np.zeros((60, 70), np.uint8)
    for k, digit in enumerate(clear_digits.of_sides([30, 24, 40])):
        height, width = digit.ink.shape
        y, x = 8 * k, 15 * k
        ink[y : y + height, x : x + width] |= digit.ink
    mask = ink > THRESHOLD * 255
    part = Component((0, 0, 70, 60), ink, mask)
    windows = propose_windows(0, part, 28.0, WINDOWS)
    proposed = {(x, y) for x, y in windows.centres_xy.tolist()}
    padded = np.pad(ink > INK_THRESHOLD * ink.max(), 28)
    expected = set()
    for y in range(2, 62, 4):
        for x in range(3, 72, 4):
            shown = padded[y + 14 : y + 42, x + 14 : x + 42]
            if not (shown[1:9, 4:24].any() and shown[19:27, 4:24].any()):
                continue
            if shown[6:22, 6:22].sum() >= 12 and WINDOWS.min_ink <= shown.mean() <= WINDOWS.max_ink:
                expected.add((float(x), float(y)))
    assert proposed == expected
    assert len(expected) > 10
