"""Detection in a stream of images: in order, in batches, and the same as one by one."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import fake_detect_each, one_digit

from digits_jax.data.mnist import Mnist
from digits_jax.detect import component_detector, window_detector
from digits_jax.detect.batched import (
    batch_by_bucket,
    padded_batch_size,
    run_ahead,
)
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.crop_classifier import CPU_BLOCKS
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import detect_readable
from digits_jax.detect.padding import bucket_shape
from digits_jax.detect.peaks import Candidates
from digits_jax.images.read import ImageError

WINDOWS = DetectorConfig(method="windows")


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the exhaustive search detect nothing, and call `on_compile` once for each shape."""

    def aot_cached(function: Any, *, on_compile: Any, **static: Any) -> Any:
        shapes = set()

        def find(params: Any, images: np.ndarray, *others: Any) -> Candidates:
            if images.shape not in shapes:
                on_compile(params, images, *others)
                shapes.add(images.shape)
            zeros = jnp.zeros((len(images), 1))
            windows, none = jnp.zeros((len(images), 1, 4)), jnp.zeros(len(images), bool)
            return Candidates(windows, zeros.astype(int), zeros, zeros, zeros - 1, none)

        return find

    monkeypatch.setattr(window_detector, "aot_cached", aot_cached)


def test_images_before_a_failure_are_detected(nothing_compiled: None) -> None:
    def images() -> Iterator[tuple[str, np.ndarray]]:
        yield "first", np.zeros((30, 30), np.uint8)
        raise OSError("the second")

    results = Detector({}, WINDOWS).detect_each(images())
    assert next(results)[0] == "first"
    with pytest.raises(OSError, match="the second"):
        next(results)


def test_batch_sizes_are_padded_to_powers_of_two_times_four_devices() -> None:
    assert jax.local_device_count() == 4
    sizes = [padded_batch_size(count) for count in (1, 2, 4, 5, 8, 9, 100)]
    assert sizes == [1, 4, 4, 8, 8, 16, 128]


def test_consecutive_images_of_one_bucket_are_batched() -> None:
    shapes = [(40, 60), (64, 1), (1, 1), (64, 64), (65, 1), (100, 90), (2, 2), (128, 3)]
    images = [(number, np.zeros(shape, np.uint8)) for number, shape in enumerate(shapes)]
    batches = batch_by_bucket(images, bucket_shape, lambda shape: 3 if shape == (64, 64) else 2)
    names = [[number for number, _ in batch] for batch in batches]
    assert names == [[0, 1, 2], [3], [4, 5], [6], [7]]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_work_is_started_ahead_and_none_is_lost_before_an_exception(ahead: int) -> None:
    started = []

    def start() -> Iterator[int]:
        for k in range(4):
            started.append(k)
            yield k
        raise OSError("the fifth")

    work = run_ahead(start(), ahead)
    for k in range(4):
        assert next(work) == k
        assert len(started) == min(k + ahead + 1, 4)
    with pytest.raises(OSError, match="the fifth"):
        next(work)


@pytest.mark.slow
def test_detect_each_equals_detect_on_each_image(native: Detector, mnist: Mnist) -> None:
    """In two batches, the second of them not full."""
    images = []
    for digit, shape in enumerate([(40, 60), (64, 30), (50, 50)]):
        image = np.zeros(shape, np.uint8)
        image[5:33, 1:29] = mnist.validation.images[digit]
        images.append(image)
    named = zip("abc", images, strict=True)
    results = list(native.detect_each(named, batch_size=lambda shape: 2))
    assert [name for name, _, _ in results] == list("abc")
    for image, (_, same_image, detections) in zip(images, results, strict=True):
        assert same_image is image
        expected = native.detect(image)
        assert len(expected.labels) == 1
        np.testing.assert_array_equal(detections.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(detections.labels, expected.labels)
        np.testing.assert_allclose(detections.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(detections.windows_xyxy, expected.windows_xyxy, atol=1e-4)


def no_large_page(page: Any) -> Any:
    raise AssertionError(page)


def test_an_unreadable_image_keeps_its_place_however_far_ahead_images_are_read() -> None:
    image, error = np.zeros((30, 30), np.uint8), ImageError("torn")

    def read_all_first(images: Any) -> Iterator[Any]:
        yield from fake_detect_each(one_digit())(None, list(images))

    inputs = [image if letter in "bce" else error for letter in "abcdef"]
    results = list(
        detect_readable(read_all_first, zip("abcdef", inputs, strict=True), no_large_page)
    )
    assert [letter for letter, _ in results] == list("abcdef")
    for (_, result), given in zip(results, inputs, strict=True):
        assert result is error if given is error else result[0] is image  # type: ignore[index]


def test_no_images_give_no_detections(native: Detector) -> None:
    assert list(native.detect_each([])) == []


def test_a_line_is_logged_before_each_bucket_is_compiled(nothing_compiled: None) -> None:
    lines: list[str] = []
    shapes = [(40, 60), (64, 30), (100, 70)]
    images = [(k, np.zeros(shape, np.uint8)) for k, shape in enumerate(shapes)]
    assert len(list(Detector({}, WINDOWS, log=lines.append).detect_each(images))) == 3
    text = "compiling for images of up to {0}×{0} px (once per image size; cached for the next run)"
    assert lines == [text.format(64), text.format(128)]
    assert len(list(Detector({}, WINDOWS).detect_each(images))) == 3


def test_a_line_is_logged_before_each_number_of_crops_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One digit needs the smallest block of crops, forty need a larger one."""

    def aot_cached(function: Any, *, on_compile: Any, **static: Any) -> Any:
        shapes = set()

        def classify(params: Any, crops: np.ndarray) -> Any:
            if crops.shape not in shapes:
                on_compile(params, crops)
                shapes.add(crops.shape)
            return jax.nn.one_hot(jnp.zeros(len(crops), int), 10), jnp.zeros(len(crops))

        return classify

    monkeypatch.setattr(component_detector, "aot_cached", aot_cached)
    one, forty = np.zeros((40, 40), np.uint8), np.zeros((40, 1600), np.uint8)
    one[10:30, 10:30], forty[10:30] = 255, np.tile([0] * 20 + [255] * 20, 40)
    lines: list[str] = []
    detector = Detector({}, log=lines.append)
    names = [name for name, _, _ in detector.detect_each(enumerate([one, forty, one]))]
    assert names == [0, 1, 2]
    text = "compiling for {} crops at once (once; cached for the next run)"
    assert lines == [text.format(count) for count in (CPU_BLOCKS[0], 48)]
