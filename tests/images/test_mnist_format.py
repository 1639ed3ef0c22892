"""Framing of digits, and strokes that are thinner or wider than MNIST's."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width
from digits_jax.runtime.errors import ArgumentError


@pytest.mark.parametrize(("width", "expected"), [(3, 20), (12, 20), (16, 16), (33, 33), (42, 28.8)])
def test_thin_strokes_are_widened_and_wide_strokes_narrowed(width: int, expected: float) -> None:
    """An L of 160 px, which is 8 times 20 px: the limits are 13.6 and 36 px."""
    ink = np.zeros((200, 200), np.uint8)
    ink[20:180, 20 : 20 + width] = ink[180 - width : 180, 20:180] = 200
    redrawn = normalise_stroke_width(ink)
    if expected == width:
        assert redrawn is ink
        return
    assert redrawn.max() == 255
    shares = redrawn / 255
    assert shares[80].sum() == pytest.approx(expected, abs=3)
    assert shares[:, 120].sum() == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (5, 5), (300, 2000)])
def test_a_dot_and_a_line_are_framed_with_full_contrast(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    image[shape[0] // 2, : shape[1] // 2 + 1] = 9
    assert frame_digit(normalise_stroke_width(image)).max() == 255


@pytest.mark.parametrize(("faint", "is_ink"), [(29, False), (31, True)])
def test_pixels_brighter_than_15_percent_of_the_brightest_are_framed_as_ink(
    faint: int, is_ink: bool
) -> None:
    """A square of 40 px at 200 has a column of the fainter grey 40 px to its right."""
    image = np.zeros((60, 120), np.uint8)
    image[10:50, 10:50] = 200
    image[10:50, 89] = faint
    framed = frame_digit(image)
    columns = np.flatnonzero((framed > 127).any(axis=0))
    assert len(columns) == (10 if is_ink else 20)  # of 80 or 40 px, scaled to 20 px


def test_a_blank_image_cannot_be_framed() -> None:
    with pytest.raises(ArgumentError, match="got pixels of 7 alone"):
        frame_digit(np.full((40, 40), 7, np.uint8))


def test_images_of_28_px_and_blank_images_stay_unchanged(mnist: Mnist) -> None:
    for image in (np.asarray(mnist.validation.images[0]), np.full((40, 40), 7, np.uint8)):
        assert normalise_stroke_width(image) is image


def test_strokes_of_mnist_digits_stay_unchanged(mnist: Mnist) -> None:
    larger = [
        np.asarray(Image.fromarray(np.asarray(digit)).resize((112, 112), Image.Resampling.BICUBIC))
        for digit in mnist.validation.images[:100]
    ]
    assert sum(normalise_stroke_width(digit) is not digit for digit in larger) < 10


def test_stroke_normalisation_raises_the_accuracy_on_wide_strokes(mnist: Mnist) -> None:
    """By at least 5 of 100 digits with strokes of about 7 px of 28."""
    labels = np.asarray(mnist.validation.labels[:100])
    correct = []
    for draw in (normalise_stroke_width, lambda picture: picture):
        pictures = [frame_digit(draw(widen_strokes(d))) for d in mnist.validation.images[:100]]
        pixels = jnp.asarray(np.stack(pictures)[..., None], jnp.float32) / 255
        logits = digits_jax.classify(digits_jax.load_pretrained(), pixels)
        correct.append(int((np.asarray(logits.argmax(axis=-1)) == labels).sum()))
    assert correct[0] >= correct[1] + 5


def widen_strokes(digit: np.ndarray) -> np.ndarray:
    """Replaces each pixel of ink by a disc."""
    y, x = np.mgrid[-18:19, -18:19]
    large = Image.fromarray(np.asarray(digit)).resize((224, 224), Image.Resampling.BICUBIC)
    ink = np.pad(np.asarray(large) > 127, 30)
    thick = np.zeros_like(ink)
    for dy, dx in np.argwhere(x**2 + y**2 <= 18**2) - 18:
        thick |= np.roll(ink, (dy, dx), (0, 1))
    return np.where(thick, 255, 0).astype(np.uint8)


def test_a_framed_digit_is_placed_as_mnists_digits_are(mnist: Mnist) -> None:
    bar = np.zeros((90, 200), np.uint8)
    bar[5:85, 150:190] = 100
    framed = frame_digit(bar)
    rows, columns = (np.flatnonzero(framed.any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns), framed.max()) == (20, 10, 255)
    assert abs(rows.mean() - 14) <= 0.5
    assert abs(columns.mean() - 14) <= 0.5
    digits = np.asarray(mnist.validation.images[:100])
    np.testing.assert_array_equal([frame_digit(digit) for digit in digits], digits)
    moved = np.stack([frame_digit(np.pad(digit, ((0, 9), (20, 3)))) for digit in digits])
    # The others have a faint edge that is taken for paper.
    assert (moved == digits).all(axis=(1, 2)).mean() > 0.5
    assert np.abs(moved.astype(int) - digits).mean() < 1


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (5, 5), (2000, 2000)])
def test_ink_that_is_one_pixel_wide_can_be_framed(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    for k in range(max(shape) - 1):
        image[min(k, shape[0] - 1), min(k, shape[1] - 1)] = 200
    image[0, 0] = 0
    assert frame_digit(image).max() == 255
