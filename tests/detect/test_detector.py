from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect import detector as module
from digits_jax.detect.border_contact import border_contact
from digits_jax.detect.detector import BatchDetections, Detections, detect_batch
from digits_jax.detect.peaks import find_peaks, pyramid_sizes
from digits_jax.images.box_iou import box_iou
from digits_jax.models.cnn import INPUT_SIDE, Params

SIZE = 140  # every image but one, since each size compiles anew
native = partial(module.detect, min_size=28.0, max_size=28.0)


def first_of(found: Detections, count: int, *, overflow: bool) -> Detections:
    """The most certain of the detections."""
    boxes, windows, labels, scores = (array[:count] for array in found[:4])
    return Detections(boxes, windows, labels, scores, overflow)


@pytest.fixture(scope="module")
def params() -> Params:
    return digits_jax.load_pretrained()


@pytest.fixture(scope="module")
def scenes(mnist: Mnist) -> list[Scene]:
    return compose("native", "test", 2, 3, mnist=mnist)


@pytest.fixture(scope="module")
def found(params: Params, scenes: list[Scene]) -> list[Detections]:
    return [native(params, scene.image) for scene in scenes]


def ink_of(mnist: Mnist, label: int, number: int = 0) -> np.ndarray:
    """A test digit's pixels, without the black around them."""
    labels = np.asarray(mnist.test.labels)
    image = np.asarray(mnist.test.images)[np.flatnonzero(labels == label)[number]]
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def box_of(image: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(image)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def assert_same(one: Detections, other: Detections) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_program_that_works_with_doubles_can_search() -> None:
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), digits_jax.load_pretrained()
    )
    images = jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
    extents = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        search = partial(find_peaks, sizes=(28.0,), capacity=4)
        found = jax.eval_shape(search, params, images, extents, jnp.float32(0.5))
    assert found.windows_xyxy.shape == (1, 4, 4)


# What is refused.


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(28), r"got \[28\]"),
        (np.zeros((2, 40, 40)), r"got \[2, 40, 40\]"),
        (np.zeros((40, 40, 3)), r"got \[40, 40, 3\]"),
        (np.zeros((1, 40, 40, 1)), r"got \[1, 40, 40, 1\]"),
        (np.zeros((40, 40), np.int32), "uint8 in 0–255; got int32"),
        (np.zeros((40, 40), bool), "got bool"),
        (np.full((40, 40), np.nan, np.float32), "without NaN"),
        (np.full((40, 40), np.inf), "0–1"),
        (np.eye(40) * 1.01, "0–1, without NaN; got 0.0 to 1.01"),
        (np.eye(40) * -0.01, "0–1"),
        (np.zeros((0, 40)), r"got \[1, 0, 40\]"),
        (np.zeros((40, 0), np.uint8), r"pixels in them"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_detect_says_what_it_takes(image: np.ndarray, message: str, params: Params) -> None:
    with pytest.raises(ValueError, match=message):
        module.detect(params, image)


@pytest.mark.parametrize("shape", [(40, 40), (1, 40, 40, 3), (1, 1, 40, 40, 1), (0, 40, 40)])
def test_detect_batch_says_what_it_takes(shape: tuple[int, ...], params: Params) -> None:
    with pytest.raises(ValueError, match="expected images"):
        detect_batch(params, np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"min_size": 50.0, "max_size": 30.0}, "min_size ≤ max_size; got 50.0, 30.0"),
        ({"min_size": 3.0}, "4 px ≤ min_size"),
        ({"max_size": float("inf")}, "max_size"),
        ({"min_size": float("nan")}, "min_size"),
        ({"min_score": 2.0}, "min_score must be 0 to 1; got 2"),
        ({"min_score": -0.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"capacity": 0}, "capacity must be at least 1; got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    argument: dict[str, Any], message: str, params: Params
) -> None:
    with pytest.raises(ValueError, match=message):
        module.detect(params, np.zeros((40, 40)), **argument)


def test_sizes_between() -> None:
    """Steps of at most 1.4, of which each size serves half to either side."""
    assert pyramid_sizes(28.0, 28.0) == (28.0,)
    assert pyramid_sizes(20.0, 28.0) == pytest.approx((np.sqrt(20 * 28),))
    assert pyramid_sizes(25.0, 49.0) == pytest.approx((25 * 1.4**0.5, 25 * 1.4**1.5))
    sizes = np.array(pyramid_sizes(15.0, 100.0))
    ratio = sizes[1] / sizes[0]
    assert len(sizes) == 6
    assert 1.35 < ratio <= 1.4
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], ratio)
    assert sizes[0] == pytest.approx(15 * ratio**0.5)
    assert sizes[-1] == pytest.approx(100 / ratio**0.5)


# What is found, by the package's trained weights.


def test_every_digit_of_a_scene_is_found(scenes: list[Scene], found: list[Detections]) -> None:
    for scene, detections in zip(scenes, found, strict=True):
        overlap = box_iou(scene.boxes_xyxy, detections.boxes_xyxy)
        assert len(detections.labels) == len(scene.labels)
        nearest = overlap.argmax(axis=1)
        assert sorted(nearest) == list(range(len(scene.labels)))
        assert overlap.max(axis=1).min() > 0.6
        np.testing.assert_array_equal(detections.labels[nearest], scene.labels)
        assert not detections.overflow


def test_detections_are_of_their_types_in_order_and_inside(found: list[Detections]) -> None:
    for boxes, windows, labels, scores, overflow in found:
        n = len(labels)
        assert [array.shape for array in (boxes, windows, scores)] == [(n, 4), (n, 4), (n,)]
        types = [array.dtype for array in (boxes, windows, labels, scores)]
        assert types == [np.int64, np.float32, np.int64, np.float32]
        assert isinstance(overflow, bool)
        assert (np.diff(scores) <= 0).all()
        assert (scores >= module.MIN_SCORE).all()
        assert (scores <= 1).all()
        assert (boxes >= 0).all()
        assert (boxes <= SIZE).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        np.testing.assert_array_equal(windows[:, 2:] - windows[:, :2], 28)


def test_grey_levels_fractions_and_a_channel_are_the_same_image(
    params: Params, scenes: list[Scene], found: list[Detections]
) -> None:
    image = scenes[0].image
    fractions = image.astype(np.float32) / 255
    assert_same(native(params, fractions), found[0])
    assert_same(native(params, image[..., None]), found[0])
    rounded = native(params, image.astype(np.float64) / 255)
    np.testing.assert_allclose(rounded.scores, found[0].scores, atol=1e-4)


@pytest.mark.parametrize("grey", [0.0, 0.3, 0.7, 1.0])
def test_blank_paper_of_any_grey_has_no_digits(grey: float, params: Params) -> None:
    detections = native(params, np.full((SIZE, SIZE), grey, np.float32))
    assert detections.boxes_xyxy.shape == detections.windows_xyxy.shape == (0, 4)
    assert detections.labels.shape == detections.scores.shape == (0,)
    assert not detections.overflow


def test_a_higher_score_leaves_out_the_less_certain(
    params: Params, scenes: list[Scene], found: list[Detections]
) -> None:
    scores = found[0].scores
    between = float((scores[0] + scores[-1]) / 2)
    few = native(params, scenes[0].image, min_score=between)
    count = int((scores >= between).sum())
    assert 0 < count < len(scores)
    assert_same(few, first_of(found[0], count, overflow=False))


def test_what_is_less_certain_is_in_the_way_all_the_same(params: Params, mnist: Mnist) -> None:
    """A scene in which a part of a digit is surer than 0.9, and the whole is not."""
    image = compose("mnist-od", "validation", 6, 5, mnist=mnist)[5].image
    found = module.detect(params, image)
    assert (found.scores < 0.9).any()
    assert_same(module.detect(params, image, min_score=0.9), found.from_score(0.9))
    more = module.detect(params, image, min_score=0.01)  # these are not in the way of what is surer
    assert len(more.scores) > len(found.scores)
    assert_same(found, more.from_score(module.MIN_SCORE))


def test_digits_that_touch_the_image_s_edges(params: Params, mnist: Mnist) -> None:
    image = np.zeros((SIZE, SIZE), np.uint8)
    corners = {}
    for label, (lower, right) in zip((4, 0, 8, 2), np.ndindex(2, 2), strict=True):
        ink = ink_of(mnist, label)
        height, width = ink.shape
        y, x = lower * (SIZE - height), right * (SIZE - width)
        image[y : y + height, x : x + width] = ink
        corners[label] = [x, y, x + width, y + height]
    detections = native(params, image, min_score=0.5)
    assert sorted(detections.labels) == sorted(corners)
    expected = np.array([corners[int(label)] for label in detections.labels])
    assert np.diag(box_iou(detections.boxes_xyxy, expected)).min() > 0.7


def test_touching_digits_are_two(params: Params, mnist: Mnist) -> None:
    image = np.zeros((SIZE, SIZE), np.uint8)
    left, right = ink_of(mnist, 2), ink_of(mnist, 3)
    image[60 : 60 + len(left), 50 : 50 + left.shape[1]] = left
    middle = 50 + left.shape[1] - 1  # one column is both's
    image[60 : 60 + len(right), middle : middle + right.shape[1]] |= right
    detections = native(params, image, min_score=0.5)
    in_reading_order = detections.labels[np.argsort(detections.boxes_xyxy[:, 0])]
    assert in_reading_order.tolist() == [2, 3]
    assert detections.boxes_xyxy[:, 0].min() < 55
    assert detections.boxes_xyxy[:, 0].max() > middle - 8


def test_what_is_found_does_not_depend_on_the_shape_that_is_compiled(
    params: Params, scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd sides, two scales, and more or less zeros to the right and below."""
    image = scenes[1].image[:61, 20:79]
    find = partial(module.detect, params, image, min_size=22.0, max_size=34.0, min_score=0.2)
    found = find()
    assert len(found.labels) > 0
    monkeypatch.setattr(module, "SMALLEST", 128)
    framed = find()
    np.testing.assert_array_equal(framed.boxes_xyxy, found.boxes_xyxy)
    np.testing.assert_array_equal(framed.labels, found.labels)
    np.testing.assert_allclose(framed.windows_xyxy, found.windows_xyxy, atol=1e-4)
    np.testing.assert_allclose(framed.scores, found.scores, atol=1e-4)


@pytest.mark.parametrize("size", [28.0, 56.0])
def test_crossings_are_those_of_the_windows(size: float, params: Params, mnist: Mnist) -> None:
    """Of digits on a bar that runs through them all, on the image's edges, too."""
    digits = np.zeros((2, 64, 64), np.float32)
    for i, y, x in np.ndindex(2, 2, 2):
        digit = mnist.validation.images[4 * i + 2 * y + x] / np.float32(255)
        digits[i, 34 * y : 34 * y + 28, 34 * x : 34 * x + 28] = digit
    digits[0, 14:16] = 1
    digits[1, :, 46:48] = 1
    scale = int(size / INPUT_SIDE)
    images = jnp.asarray(digits.repeat(scale, axis=1).repeat(scale, axis=2)[..., None])
    extents = jnp.array([images.shape[1:3]] * 2)
    found = find_peaks(params, images, extents, 0.0, sizes=(size,), capacity=64)
    crossed = set()
    for image, *of_image in zip(images[..., 0], *found[:-1], strict=True):
        windows, _, _, crossings, rank = (np.asarray(array) for array in of_image)
        framed = Image.fromarray(np.pad(image, INPUT_SIDE * scale))
        level = np.asarray(
            framed.resize([side // scale for side in framed.size], Image.Resampling.BILINEAR)
        )
        valid = rank >= 0
        for (x, y), given in zip(windows[valid, :2].astype(int), crossings[valid], strict=True):
            window = level[y // scale + INPUT_SIDE :, x // scale + INPUT_SIDE :][
                :INPUT_SIDE, :INPUT_SIDE
            ]
            crossed.add(float(given))
            assert border_contact(jnp.asarray(window[None]))[0] == pytest.approx(given)
    assert min(crossed) == 0
    assert len(crossed) > 1


def test_images_of_many_sizes_share_few_programs(params: Params) -> None:
    before = find_peaks._cache_size()  # type: ignore[attr-defined]
    for height, width in [(129, 10), (200, 256), (7, 130), (256, 256), (SIZE, 131), (177, 1)]:
        native(params, np.zeros((height, width), np.uint8))
    assert find_peaks._cache_size() <= before + 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("shape", "framed"),
    [
        ((1, 1), (64, 64)),
        ((64, 64), (64, 64)),
        ((65, 2), (128, 128)),
        ((1024, 3), (1024, 1024)),
        ((1025, 3), (1280, 256)),
        ((300, 4096), (512, 4096)),
    ],
)
def test_the_shapes_that_are_compiled(shape: tuple[int, int], framed: tuple[int, int]) -> None:
    pixels = np.ones((1, *shape), np.float32)
    found = module.pad_to_bucket(pixels)
    assert found.shape == (1, *framed)
    np.testing.assert_array_equal(found[:, : shape[0], : shape[1]], pixels)
    assert found.sum() == pixels.sum()


def test_an_image_smaller_than_a_window(params: Params, mnist: Mnist) -> None:
    """A digit that reaches to three of its edges or more."""
    ink = ink_of(mnist, 7)
    assert max(ink.shape) <= 20
    image = np.zeros((20, 20), np.uint8)
    image[: ink.shape[0], : ink.shape[1]] = ink
    detections = native(params, image)
    assert detections.labels.tolist() == [7]
    assert box_iou(detections.boxes_xyxy, box_of(image)[None]).max() > 0.7


def test_a_batch_is_its_images_one_by_one(
    params: Params, scenes: list[Scene], found: list[Detections]
) -> None:
    """Of different numbers of digits, none in the third; the rest is not valid."""
    images = np.stack([scenes[0].image, scenes[1].image, np.zeros((SIZE, SIZE), np.uint8)])
    capacity = 50
    batch = detect_batch(params, images, min_size=28.0, max_size=28.0, capacity=capacity)
    assert batch.boxes_xyxy.shape == batch.windows_xyxy.shape == (3, capacity, 4)
    assert batch.labels.shape == batch.scores.shape == batch.valid.shape == (3, capacity)
    counts = [len(found[0].labels), len(found[1].labels), 0]
    assert counts[0] != counts[1]
    assert batch.valid.dtype == batch.overflow.dtype == np.bool_
    np.testing.assert_array_equal(batch.valid.sum(axis=1), counts)
    assert not batch.overflow.any()
    for k, alone in enumerate(found):
        valid = batch.valid[k]
        assert valid[: counts[k]].all()
        np.testing.assert_array_equal(batch.boxes_xyxy[k][valid], alone.boxes_xyxy)
        np.testing.assert_allclose(batch.windows_xyxy[k][valid], alone.windows_xyxy)
        np.testing.assert_array_equal(batch.labels[k][valid], alone.labels)
        np.testing.assert_allclose(batch.scores[k][valid], alone.scores, atol=1e-4)


def test_overflow_says_that_there_were_more(
    params: Params, scenes: list[Scene], found: list[Detections]
) -> None:
    first = native(params, scenes[0].image, capacity=1)
    assert first.overflow
    assert_same(first, first_of(found[0], 1, overflow=True))
    none: BatchDetections = detect_batch(
        params, np.zeros((1, SIZE, SIZE), np.uint8), min_size=28.0, max_size=28.0, capacity=1
    )
    assert none.valid.tolist() == [[False]]
    assert none.overflow.tolist() == [False]
