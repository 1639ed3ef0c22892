"""Framing of digits, and strokes that are thinner or wider than MNIST's."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width


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
def test_a_dot_and_a_line_are_framed(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    image[shape[0] // 2, : shape[1] // 2 + 1] = 9
    assert frame_digit(normalise_stroke_width(image)).max() == 255


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
