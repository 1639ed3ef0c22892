"""Detection in many images: in order, ahead, and the same as one by one."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from command_line import finding, one_digit

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.detect import batched as stream
from digits_jax.detect.batched import detect_each, detect_readable
from digits_jax.detect.detector import detect
from digits_jax.images.read import ImageError

each_native = partial(detect_each, min_size=28.0, max_size=28.0)
native = partial(detect, min_size=28.0, max_size=28.0)


def test_what_was_found_before_a_failure_is_not_lost() -> None:
    def images() -> Iterator[tuple[str, np.ndarray]]:
        yield "first", np.zeros((30, 30), np.uint8)
        raise OSError("the second")

    each = each_native(digits_jax.load_pretrained(), images())
    assert next(each)[0] == "first"
    with pytest.raises(OSError, match="the second"):
        next(each)


@pytest.mark.parametrize(("argument", "value"), [("min_score", 2.0), ("capacity", 0)])
def test_arguments_are_refused(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        list(detect_each(digits_jax.load_pretrained(), [], **{argument: value}))  # type: ignore[arg-type]


def test_the_numbers_of_images_that_are_compiled() -> None:
    """On four devices, as the tests have them."""
    assert [stream._filled_up(n) for n in (1, 2, 4, 5, 8, 9, 100)] == [1, 4, 4, 8, 8, 16, 128]


def test_images_of_one_shape_that_follow_each_other_are_searched_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "_batch_size", lambda shape: 3 if shape == (64, 64) else 2)
    shapes = [(40, 60), (64, 1), (1, 1), (64, 64), (65, 1), (100, 90), (2, 2), (128, 3)]
    images = [(number, np.zeros(shape, np.uint8)) for number, shape in enumerate(shapes)]
    batches = [[number for number, _ in batch] for batch in stream._batches(images)]
    assert batches == [[0, 1, 2], [3], [4, 5], [6], [7]]


def test_each_image_is_found_what_it_is_alone(
    mnist: Mnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two batches, the second of them not full."""
    monkeypatch.setattr(stream, "_batch_size", lambda shape: 2)
    params = digits_jax.load_pretrained()
    images = []
    for digit, shape in enumerate([(40, 60), (64, 30), (50, 50)]):
        image = np.zeros(shape, np.uint8)
        image[5:33, 1:29] = mnist.validation.images[digit]
        images.append(image)
    each = list(each_native(params, zip("abc", images, strict=True)))
    assert [name for name, _, _ in each] == list("abc")
    for image, (_, seen, found) in zip(images, each, strict=True):
        assert seen is image
        expected = native(params, image)
        assert len(expected.labels) == 1
        np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(found.windows_xyxy, expected.windows_xyxy, atol=1e-4)


def test_what_cannot_be_read_comes_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far ahead of what is asked for images are read."""
    image, error = np.zeros((30, 30), np.uint8), ImageError("torn")

    def a_batch_ahead(params: Any, images: Any, **_: Any) -> Iterator[Any]:
        yield from finding(one_digit())(params, list(images))

    monkeypatch.setattr(stream, "detect_each", a_batch_ahead)
    read = [image if letter in "bce" else error for letter in "abcdef"]
    each = list(detect_readable({}, zip("abcdef", read, strict=True)))
    assert [letter for letter, _ in each] == list("abcdef")
    for (_, found), given in zip(each, read, strict=True):
        assert found is error if given is error else found[0] is image  # type: ignore[index]


def test_no_images_are_no_detections() -> None:
    assert list(detect_each(digits_jax.load_pretrained(), [])) == []
