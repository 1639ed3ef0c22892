"""Composed negatives: off-centre digits, wrong sizes, shapes, textures and blank windows."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from windows import COUNT, PLAIN, blob, centres, compose

from digits_jax.train.negatives.draw import NegativePictures, draw_negatives


def compose_negatives(
    digits: np.ndarray, negatives: NegativePictures | None = None, /, **fields: Any
) -> np.ndarray:
    """Returns the negatives of a config that composes almost nothing else."""
    config = dataclasses.replace(PLAIN, **fields)
    windows, confidence = compose(digits, config, negatives=negatives)
    assert 0.96 < (confidence == 0).mean() < 1
    assert ((confidence == 0) | (confidence == 1)).all()
    return windows[confidence == 0]


def test_off_centre_digits_are_6_to_20_px_from_the_centre() -> None:
    pictures = np.repeat(blob(0, 0, 1)[None], COUNT, axis=0)
    windows = compose_negatives(pictures, negative_off_centre=0.99)
    border = np.ones((28, 28), bool)
    border[3:-3, 3:-3] = False
    whole = windows[windows[:, border].max(axis=1) < 0.01]
    whole = whole[whole.sum(axis=(1, 2)) > 1]  # without those outside the window
    assert len(whole) > 0.1 * COUNT
    distance = np.abs(centres(whole)).max(axis=1)
    assert 5.9 < distance.min() < 6.5
    outside = windows.sum(axis=(1, 2)) < 0.1
    assert 0.1 < outside.mean() < 0.5  # those at 17 to 20 px, of 6 to 20


def test_wrong_sizes_are_small_and_centred_or_large_and_anywhere() -> None:
    picture = blob(0, 0, 1)
    pictures = np.repeat(picture[None], COUNT, axis=0)
    windows = compose_negatives(pictures, negative_wrong_size=0.99)
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    whole = windows[windows[:, border].max(axis=1) < 0.01]
    assert len(whole) > 0.5 * COUNT
    factor = np.sqrt(whole.sum(axis=(1, 2)) / picture.sum())
    small = factor < 1
    assert 0.3 < small.mean() < 0.75
    for (low, high), factors in (((0.2, 0.62), factor[small]), ((1.45, 3.7), factor[~small])):
        assert factors.min() > 0.93 * low
        assert factors.max() < 1.07 * high
        assert factors.max() / factors.min() > 0.7 * high / low
    assert np.abs(centres(whole[small])).max() < 0.1  # with translate_px 0
    assert np.abs(centres(whole[~small])).max() > 5


@pytest.mark.parametrize(
    ("field", "has_digit"),
    [
        ("negative_off_centre", True),
        ("negative_wrong_size", True),
        ("negative_shapes", False),
        ("negative_textures", False),
    ],
)
def test_off_centre_and_wrong_size_negatives_alone_show_the_digit(
    field: str, has_digit: bool, digits: np.ndarray
) -> None:
    windows = compose_negatives(digits, **{field: 0.99})
    of_empty_digits = compose_negatives(np.zeros_like(digits), **{field: 0.99})
    if has_digit:
        assert not of_empty_digits.any()
        assert (windows.max(axis=(1, 2)) > 0.2).mean() > 0.7
    else:
        np.testing.assert_array_equal(windows, of_empty_digits)
        varied = np.ptp(windows, axis=(1, 2)) > 0.01
        assert varied.mean() > 0.9
        assert len(np.unique(windows[:, ::7, ::7], axis=0)) > 0.8 * len(windows)


def test_half_of_the_shapes_are_placed_like_digits_and_the_others_anywhere(
    digits: np.ndarray,
) -> None:
    """The only shape is a spot of 3 px; half of the spots are at most 2 px off the centre."""
    spot = np.rint(255 * blob(0, 0, 3)).astype(np.uint8)
    negatives = draw_negatives()._replace(shapes=spot[None])
    windows = compose_negatives(digits, negatives, negative_shapes=0.99, translate_px=2)
    windows = windows[windows.max(axis=(1, 2)) > 0.2]  # without the 1 % of other windows
    centred = np.abs(centres(windows)).max(axis=1) < 2.1
    assert 0.45 < centred.mean() < 0.65  # and one in 25 of the others
    sizes = np.sqrt(windows.sum(axis=(1, 2)))  # a spot's sum is proportional to its size squared
    spread, spread_elsewhere = (
        np.ptp(np.quantile(size, [0.1, 0.9])) for size in (sizes[centred], sizes[~centred])
    )
    assert spread < 0.2 * spread_elsewhere
    assert np.abs(centres(windows[~centred])).max() > 6


def test_clutter_is_mirrored_evenly_and_fills_7_of_10_windows(digits: np.ndarray) -> None:
    """80 % of the textures are clutter, and 70 % of the clutter fills the window."""
    white = np.full((1, 28, 28), 255, np.uint8)
    negatives = draw_negatives()._replace(clutter=white)
    windows = compose_negatives(digits, negatives, negative_textures=0.99)
    filled = (windows > 0.999).all(axis=(1, 2))
    assert abs(filled.mean() - 0.8 * 0.7) < 3 * np.sqrt(0.25 / COUNT)

    # A picture without symmetry and its seven mirror images are equally probable.
    asymmetric = white.copy()
    asymmetric[:, :, :14] = 0
    asymmetric[:, :2] = 128
    negatives = negatives._replace(clutter=asymmetric)
    windows = compose_negatives(digits, negatives, negative_textures=0.99)
    views = [np.rot90(p, k) for p in (asymmetric[0], asymmetric[0, ::-1]) for k in range(4)]
    shares = [(np.abs(windows - view / 255) < 1e-3).all(axis=(1, 2)).mean() for view in views]
    # Three in ten are neither scaled nor moved: 19 windows of each view, ± 4.
    assert min(shares) > 0.3 * 0.8 * 0.3 / 8
    assert max(shares) < 1.9 * 0.8 * 0.3 / 8


def test_three_tenths_of_the_noise_has_independent_pixels(digits: np.ndarray) -> None:
    """Neighbouring pixels of coarser noise are alike; the clutter is black."""
    black = np.zeros((1, 28, 28), np.uint8)
    negatives = draw_negatives()._replace(clutter=black)
    # 475 windows of noise, so that 0.06 is three standard errors.
    windows = compose_negatives(np.tile(digits, (4, 1, 1)), negatives, negative_textures=0.99)
    noise = windows[np.ptp(windows, axis=(1, 2)) > 0.01]
    second = np.diff(noise, n=2, axis=2)  # without the gradient of grey
    second = second[second.std(axis=(1, 2)) > 0]
    # For independent pixels, d = x₀ − 2x₁ + x₂ has the correlation −4/6 with its neighbour.
    correlations = [np.corrcoef(d[:, :-1].ravel(), d[:, 1:].ravel())[0, 1] for d in second]
    assert abs(np.mean(np.array(correlations) < -0.55) - 0.3) < 0.06


def test_blank_windows_have_one_uniform_grey(digits: np.ndarray) -> None:
    windows = compose_negatives(digits, negative_blank=0.99)
    assert not np.ptp(windows, axis=(1, 2)).any()
    grey = windows[:, 0, 0]
    assert 0.2 < (grey == 0).mean() < 0.4  # 0.3 expected
    np.testing.assert_allclose(
        np.quantile(grey[grey > 0], [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.1
    )


def test_framed_negatives_stay_in_their_frame_most_of_them_alone() -> None:
    """The only component is a spot; neighbours are full squares."""
    spot = np.rint(255 * blob(0, 0, 3)).astype(np.uint8)
    negatives = draw_negatives()._replace(framed=spot[None])
    squares = np.ones((COUNT, 28, 28))
    of_neighbours = [
        compose_negatives(squares, negatives, negative_framed=0.99, neighbours=mean)
        for mean in (0.0, 3.0)
    ]
    alone = (of_neighbours[0] == of_neighbours[1]).all(axis=(1, 2))
    assert 0.74 < alone.mean() < 0.88  # 0.8, and few neighbours that are outside
    windows = of_neighbours[0]
    assert np.abs(centres(windows)).max() < 1.05
    sizes = np.sqrt(windows.sum(axis=(1, 2)) / (spot.sum() / 255))
    assert 0.9 < sizes.min() < 0.95
    assert 1.05 < sizes.max() < 1.1


def test_isolated_digits_are_in_their_frame_alone_and_half_without_faint_edges() -> None:
    spot = blob(0, 0, 3)
    config = dataclasses.replace(PLAIN, isolated_digits=1.0, neighbours=3.0, translate_px=9)
    windows, confidence = compose(np.repeat(spot[None], COUNT, axis=0), config)
    assert (confidence == 1).all()
    assert np.abs(centres(windows)).max() < 1.05
    # A Gaussian whose part below a grey g is erased has lost the share g of its sum.
    lost = 1 - windows.sum(axis=(1, 2)) / spot.sum()
    scale = 1.08**2 - 1
    assert (lost > scale).mean() > 0.2
    assert lost.max() < 0.3 + scale
