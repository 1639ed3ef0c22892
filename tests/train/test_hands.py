"""Digits in other hands: skeletons, pens, stroke widths and the pool."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.images.mask_box import mask_to_box
from digits_jax.train.batch import sample_batch
from digits_jax.train.hands import draw
from digits_jax.train.hands.draw import (
    draw_other_hands,
    other_hands_sha256,
    other_hands_spec,
)
from digits_jax.train.hands.pen import draw_digit
from digits_jax.train.hands.resolution import lower_resolution
from digits_jax.train.hands.skeletons import SKELETONS
from digits_jax.train.hands.stroke_width import change_stroke_width

# The numbers of holes that a digit of each class can have, a hole of hair's breadth not counted.
HOLES = {0: (1, 2), 1: (0,), 2: (0, 1), 3: (0,), 4: (0, 1), 5: (0,), 6: (1,), 7: (0,), 8: (2,)}


def count_holes(image: np.ndarray) -> int:
    return int(ndimage.label(np.pad(image, 1) < 77)[1]) - 1


@pytest.mark.parametrize("label", range(10))
def test_drawn_digits_are_framed_and_have_the_holes_of_their_class(label: int) -> None:
    rng = np.random.default_rng(label)
    digits = np.stack([draw_digit(label, rng) for _ in range(60)])
    assert digits.max(axis=(1, 2)).min() > 250
    sides = [np.ptp(np.nonzero(digit > 20), axis=1).max() + 1 for digit in digits]
    assert 19 <= min(sides) <= max(sides) <= 20
    holes = [count_holes(digit) for digit in digits]
    assert np.isin(holes, HOLES.get(label, (1,))).mean() > 0.9
    ink = digits.mean(axis=(1, 2))
    assert ink.max() > 3 * ink.min()  # pens from hairline to marker


def test_drawn_digits_are_a_function_of_the_generator() -> None:
    first, again = (draw_digit(7, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("label", range(10))
def test_skeletons_fill_their_square_and_begin_lines_with_two_points(label: int) -> None:
    rng = np.random.default_rng(0)
    for make in SKELETONS[label][0]:
        skeleton = make(rng)
        assert min(len(stroke) for stroke in skeleton) >= 2
        points = np.array([point for stroke in skeleton for point in stroke])
        assert points.min() >= -0.25
        assert points.max() <= 1.25
        assert np.ptp(points[:, 1]) > 0.9


def test_stroke_widths_change_both_ways_and_parts_and_holes_stay(mnist: Mnist) -> None:
    rng = np.random.default_rng(3)
    digits = mnist.train.images[:80]
    changed = np.stack([change_stroke_width(digit, rng) for digit in digits])
    ratio = changed.sum(axis=(1, 2)) / digits.sum(axis=(1, 2))
    assert (ratio < 0.9).mean() > 0.2
    assert (ratio > 1.1).mean() > 0.2
    same = [count_holes(a) == count_holes(b) for a, b in zip(digits, changed, strict=True)]
    assert np.mean(same) > 0.75  # holes of hair's breadth may go


def test_a_square_that_is_thickened_stays_a_square() -> None:
    """A square of 10 px is framed at 20 px whatever its thickness."""
    square = np.zeros((28, 28), np.uint8)
    square[9:19, 9:19] = 255
    for seed in range(4):
        changed = change_stroke_width(square, np.random.default_rng(seed))
        assert abs((changed > 128).sum() - 400) <= 80


def test_the_pool_has_its_spec_and_labels_of_all_classes(
    mnist: Mnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"FONT_COUNT": 40, "DRAWN_COUNT": 30, "CHANGED_COUNT": 20, "COARSE_COUNT": 10}
    counts["OTHER_HANDS_COUNT"] = 100
    for name, count in counts.items():
        monkeypatch.setattr(draw, name, count)
    hands = draw_other_hands(mnist.train)
    for array, spec in zip(hands, other_hands_spec(), strict=True):
        assert (array.shape, array.dtype) == (spec.shape, spec.dtype)
    assert set(np.asarray(hands.labels[40:70]).tolist()) == set(range(10))
    sha256 = other_hands_sha256(hands)
    assert other_hands_sha256(draw_other_hands(mnist.train)) == sha256
    swapped = Dataset(hands.images, hands.labels[::-1])
    assert other_hands_sha256(swapped) != sha256


def test_a_share_of_a_batch_is_in_other_hands_with_their_labels(train_digits: Dataset) -> None:
    hands = Dataset(np.full((5, 28, 28), 255, np.uint8), np.full(5, 7, np.uint8))
    key = jax.random.key(0)
    mnist_only = sample_batch(key, train_digits, 2000)
    mixed = sample_batch(key, train_digits, 2000, hands=hands, share=0.25)
    is_other = np.asarray(mixed.images).min(axis=(1, 2, 3)) == 1
    assert abs(is_other.mean() - 0.25) < 0.05
    assert (np.asarray(mixed.labels)[is_other] == 7).all()
    for mixed_array, array in zip(mixed[:2], mnist_only[:2], strict=True):
        np.testing.assert_array_equal(
            np.asarray(mixed_array)[~is_other], np.asarray(array)[~is_other]
        )


def test_a_coarse_digit_has_the_blur_of_a_few_pixels_and_mnist_s_frame(mnist: Mnist) -> None:
    """Neighbouring pixels differ less than in the digit, which fills the same 20 px."""
    rng = np.random.default_rng(0)
    digits = np.asarray(mnist.train.images[:40])
    coarse = np.stack([lower_resolution(digit, rng) for digit in digits])
    assert list(coarse.shape) == list(digits.shape)
    steepest = [
        np.abs(np.diff(images.astype(int), axis=2)).max(axis=(1, 2)) for images in (coarse, digits)
    ]
    assert (steepest[0] < steepest[1]).mean() > 0.9
    boxes = np.stack([mask_to_box(image > 0.15 * 255) for image in coarse])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert ((sides >= 18) & (sides <= 20)).all()
