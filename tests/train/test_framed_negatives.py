"""Framed negatives: components, merged and broken digits, signs, and what looks like a digit."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from digits_jax.data.font_glyphs import load_font_letters
from digits_jax.data.mnist import Mnist
from digits_jax.train.negatives import framed
from digits_jax.train.negatives.broken_and_ruled import draw_part, draw_ruled_digit
from digits_jax.train.negatives.components import frame_component, largest_component
from digits_jax.train.negatives.framed import draw_framed
from digits_jax.train.negatives.letters_and_shapes import draw_shapes
from digits_jax.train.negatives.likeness import DigitLikeness
from digits_jax.train.negatives.merged_digits import draw_overlap, draw_row
from digits_jax.train.negatives.photo_clutter import draw_clutter
from digits_jax.train.negatives.signs import draw_sign

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def looks_like_digit(mnist: Mnist) -> DigitLikeness:
    return DigitLikeness(mnist.train)


def draw_many(draw: Draw, mnist: Mnist, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack(
        [draw(lambda: mnist.train.images[rng.integers(50_000)], rng) for _ in range(count)]
    )


def test_the_largest_component_is_connected_at_corners_and_erases_the_rest() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[5:15, 5:8] = 200
    image[15, 8] = 200  # touches at a corner
    image[30:34, 30:34] = 255
    mask = largest_component(image)
    assert mask.sum() == 31
    assert mask[15, 8]
    assert not largest_component(np.zeros((9, 9), np.uint8)).any()
    picture = frame_component(image, mask, 0)
    assert picture.shape == (28, 28)
    assert np.ptp(np.nonzero(picture), axis=1).tolist() == [19, 6]  # 11×4 px at 20 px


def test_a_framed_component_has_its_faint_edge_and_nothing_else_of_its_box() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[5:25, 10:12] = 255  # an L of 60 px, which is framed at its own size
    image[23:25, 12:22] = 255
    image[5:23, 12] = 60  # 18 px of its edge, fainter than ink
    image[8:11, 17:20] = 200  # another component in its box
    mask = largest_component(image)
    counts = [np.count_nonzero(frame_component(image, mask, margin)) for margin in (0, 1)]
    assert counts == [60, 78]


def test_a_component_of_28_or_of_26_px_is_framed_as_well() -> None:
    for side in (26, 28):
        image = np.zeros((50, 50), np.uint8)
        image[5 : 5 + side, 5 : 5 + side] = 255
        picture = frame_component(image, largest_component(image), 0)
        assert np.ptp(np.nonzero(picture), axis=1).tolist() == [19, 19]


@pytest.mark.parametrize("draw", [draw_row, draw_overlap, draw_part, draw_ruled_digit])
def test_components_of_digits_are_framed_and_in_one_piece(draw: Draw, mnist: Mnist) -> None:
    pictures = draw_many(draw, mnist)
    assert pictures.dtype == np.uint8
    sides = [np.ptp(np.nonzero(picture > 20), axis=1).max() + 1 for picture in pictures]
    assert 17 <= min(sides) <= max(sides) <= 20
    pieces = [ndimage.label(picture > 20, np.ones((3, 3)))[1] for picture in pictures]
    assert np.mean(np.array(pieces) == 1) > 0.85
    assert len(np.unique(pictures, axis=0)) == len(pictures)


def test_rows_are_broad_and_parts_have_no_holes(mnist: Mnist) -> None:
    rows = draw_many(draw_row, mnist)
    broad = [np.ptp(np.nonzero(row > 40)[1]) >= np.ptp(np.nonzero(row > 40)[0]) for row in rows]
    assert np.mean(broad) > 0.6
    parts = draw_many(draw_part, mnist)
    holes = [ndimage.label(np.pad(part, 1) < 60)[1] - 1 for part in parts]
    assert np.mean(np.array(holes) == 0) > 0.9


def test_digits_look_like_digits_and_most_components_do_not(
    mnist: Mnist, looks_like_digit: DigitLikeness
) -> None:
    assert looks_like_digit(np.asarray(mnist.validation.images[:500])).mean() > 0.55
    for draw, most in ((draw_row, 0.1), (draw_overlap, 0.3), (draw_ruled_digit, 0.2)):
        assert looks_like_digit(draw_many(draw, mnist)).mean() <= most
    rng = np.random.default_rng(2)
    assert looks_like_digit(np.stack([draw_sign(rng) for _ in range(60)])).mean() < 0.4


def test_upright_bars_of_any_width_look_like_a_1_and_level_ones_do_not(
    looks_like_digit: DigitLikeness,
) -> None:
    bars = np.zeros((3, 28, 28), np.uint8)
    for bar, half in zip(bars, (1, 2, 3), strict=True):
        bar[4:24, 14 - half : 14 + half] = 255
    assert looks_like_digit(bars).all()
    assert not looks_like_digit(bars.transpose(0, 2, 1).copy()).any()


def test_the_pool_has_no_picture_that_looks_like_a_digit(
    mnist: Mnist, looks_like_digit: DigitLikeness, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ROWS", "OVERLAPS", "PARTS", "RULED", "SIGNS", "SHAPES", "CLUTTER", "LETTERS")
    assert sum(getattr(framed, name) for name in names) == framed.FRAMED_COUNT
    for name in names:
        monkeypatch.setattr(framed, name, 12)
    drawn = (mnist.train, None, draw_shapes(), draw_clutter())
    pictures = draw_framed(*drawn)
    assert pictures.shape == (96, 28, 28)
    assert not looks_like_digit(pictures[:-12]).any()
    assert not looks_like_digit(pictures[-12:], framed.LETTER_QUANTILE).any()
    np.testing.assert_array_equal(draw_framed(*drawn), pictures)


def test_fewer_letters_look_like_digits_the_lower_the_quantile(
    looks_like_digit: DigitLikeness,
) -> None:
    letters = load_font_letters("train")
    default = looks_like_digit(letters)
    np.testing.assert_array_equal(looks_like_digit(letters, 0.7), default)
    lower = looks_like_digit(letters, 0.3)
    assert not (lower & ~default).any()
    assert 0 < lower.sum() < 0.8 * default.sum()  # upright bars look like a 1 in any case
