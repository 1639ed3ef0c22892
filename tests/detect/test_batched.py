"""Detection in many images: in order, ahead, and the same as one by one."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import pytest
from command_line import finding, one_digit

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.detect import batched as stream
from digits_jax.detect.batched import AHEAD, WORKERS, detect_each, detect_readable, prefetch
from digits_jax.detect.detector import detect
from digits_jax.images.read import ImageError

each_native = partial(detect_each, min_size=28.0, max_size=28.0)
native = partial(detect, min_size=28.0, max_size=28.0)


def test_images_are_read_ahead_in_order_and_no_more_than_so_many() -> None:
    begun: list[int] = []

    def read(item: int) -> int:
        begun.append(item)
        time.sleep(0.02 * (item % 3))
        return 10 * item

    reading = prefetch(read, range(3 * AHEAD))
    assert next(reading) == (0, 0)
    assert len(begun) <= AHEAD + 1
    assert list(reading) == [(item, 10 * item) for item in range(1, 3 * AHEAD)]
    assert sorted(begun) == list(range(3 * AHEAD))


def test_several_workers_read_at_once() -> None:
    together = threading.Barrier(WORKERS, timeout=10)  # breaks if they do not all come
    assert len(list(prefetch(lambda _: together.wait(), range(WORKERS)))) == WORKERS


def test_what_reading_raises_comes_in_its_turn() -> None:
    def read(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    reading = prefetch(read, range(5))
    assert [next(reading), next(reading)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="the third"):
        next(reading)


def test_nothing_is_read_any_more_once_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "AHEAD", 50)
    begun: list[int] = []

    def read(item: int) -> None:
        begun.append(item)
        time.sleep(0.1)

    with closing(prefetch(read, range(100))) as reading:  # type: ignore[type-var]
        next(reading)
    assert len(begun) <= 3 * WORKERS


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
