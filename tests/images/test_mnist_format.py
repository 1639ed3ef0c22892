"""Digits by pens that MNIST's writers did not have."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width


@pytest.mark.parametrize(("width", "usual"), [(3, 20), (12, 20), (16, 16), (33, 33), (42, 28.8)])
def test_strokes_too_thin_and_too_thick_become_usual(width: int, usual: float) -> None:
    """An L on 160 px, eight for each of 20: what is thinner than 13.6 px and thicker than 36."""
    ink = np.zeros((200, 200), np.uint8)
    ink[20:180, 20 : 20 + width] = ink[180 - width : 180, 20:180] = 200
    drawn = normalise_stroke_width(ink)
    if usual == width:
        assert drawn is ink
        return
    assert drawn.max() == 255
    shares = drawn / 255
    assert shares[80].sum() == pytest.approx(usual, abs=3)
    assert shares[:, 120].sum() == pytest.approx(usual, abs=3)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (5, 5), (300, 2000)])
def test_a_dot_and_a_line_are_drawn(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    image[shape[0] // 2, : shape[1] // 2 + 1] = 9
    assert frame_digit(normalise_stroke_width(image)).max() == 255


def test_what_is_framed_or_blank_stays_as_it_is(mnist: Mnist) -> None:
    for image in (np.asarray(mnist.validation.images[0]), np.full((40, 40), 7, np.uint8)):
        assert normalise_stroke_width(image) is image


def test_mnist_s_own_pens_are_usual(mnist: Mnist) -> None:
    larger = [
        np.asarray(Image.fromarray(np.asarray(digit)).resize((112, 112), Image.Resampling.BICUBIC))
        for digit in mnist.validation.images[:100]
    ]
    assert sum(normalise_stroke_width(digit) is not digit for digit in larger) < 10


def test_digits_by_a_thick_pen_are_read(mnist: Mnist) -> None:
    """Of 100 by pens of some 7 px of 28, more than as they are."""
    labels = np.asarray(mnist.validation.labels[:100])
    right = []
    for draw in (normalise_stroke_width, lambda picture: picture):
        pictures = [frame_digit(draw(by_thick_pen(d))) for d in mnist.validation.images[:100]]
        pixels = jnp.asarray(np.stack(pictures)[..., None], jnp.float32) / 255
        logits = digits_jax.classify(digits_jax.load_pretrained(), pixels)
        right.append(int((np.asarray(logits.argmax(axis=-1)) == labels).sum()))
    assert right[0] >= right[1] + 5


def by_thick_pen(digit: np.ndarray) -> np.ndarray:
    """Each pixel of ink becomes a disc."""
    y, x = np.mgrid[-18:19, -18:19]
    large = Image.fromarray(np.asarray(digit)).resize((224, 224), Image.Resampling.BICUBIC)
    ink = np.pad(np.asarray(large) > 127, 30)
    thick = np.zeros_like(ink)
    for dy, dx in np.argwhere(x**2 + y**2 <= 18**2) - 18:
        thick |= np.roll(ink, (dy, dx), (0, 1))
    return np.where(thick, 255, 0).astype(np.uint8)
