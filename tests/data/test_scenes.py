"""Composed scenes: their distribution, boxes and labels, and that they never change."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare

from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.data.scenes import SCENE_DATASETS, SPLITS, Scene, canonical_dataset, compose
from digits_jax.images.box_iou import box_iou

ON_BLACK = ("native", "savi-d", "mnist-od")
SIZES = {"native": 140, "savi-d": 128, "mnist-od": 300}
COUNTS = {"native": (3, 8), "savi-d": (3, 5), "mnist-od": (1, 20)}
SIDES = {"native": (28, 28), "savi-d": (22, 36), "mnist-od": (15, 99)}


def mnist_of(image: np.ndarray) -> Mnist:
    """Returns splits that hold one image each, labelled 7."""
    digits = Dataset(image.astype(np.uint8)[None], np.array([7], np.uint8))
    return Mnist(digits, digits, digits)


# A digit that fills its square shows where the square is. So does a bar as high as its square,
# which leaves a margin at its left and right, so that its tight box differs from the square.
FULL = np.full((28, 28), 100)
BAR = np.where((np.arange(28) >= 3) & (np.arange(28) < 23), 100, 0) * np.ones((28, 1))


def pairwise_ious(boxes: np.ndarray) -> np.ndarray:
    """Returns the IoU of each box with each earlier one, counted in pixels."""
    pixels = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((300, 300), bool)
        mask[y0:y1, x0:x1] = True
        pixels.append(mask)
    pairs = [(one, other) for k, one in enumerate(pixels) for other in pixels[:k]]
    return np.array([(one & other).sum() / (one | other).sum() for one, other in pairs])


@pytest.mark.parametrize("dataset", ON_BLACK)
def test_scenes_have_the_size_number_and_tight_boxes_of_their_dataset(
    dataset: str, mnist: Mnist
) -> None:
    composed = compose(dataset, "validation", 20, 0, mnist=mnist)
    assert len(composed) == 20
    for image, boxes, labels in composed:
        assert image.shape == (SIZES[dataset], SIZES[dataset])
        assert image.dtype == np.uint8
        assert boxes.dtype == labels.dtype == np.int64
        assert COUNTS[dataset][0] <= len(labels) <= COUNTS[dataset][1]
        assert boxes.shape == (len(labels), 4)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= SIZES[dataset]).all()
        outside = image.copy()
        for x0, y0, x1, y1 in boxes:
            crop = image[y0:y1, x0:x1]
            assert all(edge.any() for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))
            outside[y0:y1, x0:x1] = 0
        assert not outside.any()


@pytest.mark.parametrize("dataset", SCENE_DATASETS)
def test_a_scene_is_a_function_of_its_dataset_split_seed_and_index(
    dataset: str, mnist: Mnist
) -> None:
    def same(one: Scene, other: Scene) -> bool:
        return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))

    first = compose(dataset, "train", 4, 5, mnist=mnist)
    again = compose(dataset, "train", 2, 5, mnist=mnist)
    assert all(map(same, first[:2], again))
    shared = mnist._replace(test=mnist.train)
    different = [
        *first,
        compose(dataset, "train", 1, 6, mnist=mnist)[0],
        compose(dataset, "test", 1, 5, mnist=shared)[0],
    ]
    assert not any(same(a, b) for k, a in enumerate(different) for b in different[:k])


def test_a_native_scene_has_pinned_labels_and_boxes(mnist: Mnist) -> None:
    """Results on composed scenes can be compared between versions."""
    scene = compose("native", "test", 1, 1, mnist=mnist)[0]
    assert scene.labels.tolist() == [8, 0, 2]
    boxes = [[79, 100, 91, 120], [51, 55, 71, 73], [114, 33, 134, 49]]
    assert scene.boxes_xyxy.tolist() == boxes


def test_mnist_is_loaded_quietly(mnist: Mnist, capsys: pytest.CaptureFixture[str]) -> None:
    given = compose("native", "test", 1, 0, mnist=mnist)[0]
    loaded = compose("native", "test", 1, 0)[0]
    np.testing.assert_array_equal(loaded.image, given.image)
    assert capsys.readouterr() == ("", "")


def crops(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[bytes, tuple[int, ...], int]]:
    for image, label in zip(images, labels, strict=True):
        xs, ys = np.flatnonzero(image.any(axis=0)), np.flatnonzero(image.any(axis=1))
        crop = image[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        yield crop.tobytes(), crop.shape, int(label)


def test_native_digits_are_those_of_the_split_and_of_no_other(mnist: Mnist) -> None:
    # Squares are disjoint, so that a box holds one digit, pixel for pixel.
    digits = {split: set(crops(*map(np.asarray, getattr(mnist, split)))) for split in SPLITS}
    for split in SPLITS:
        drawn = {
            (crop.tobytes(), crop.shape, int(label))
            for image, boxes, label_of in compose("native", split, 30, 1, mnist=mnist)
            for (x0, y0, x1, y1), label in zip(boxes, label_of, strict=True)
            for crop in [image[y0:y1, x0:x1]]
        }
        assert len(drawn) > 120
        assert [name for name in SPLITS if drawn & digits[name]] == [split]
        assert drawn <= digits[split]


@pytest.mark.parametrize("dataset", ON_BLACK)
def test_a_scene_holds_digits_of_its_split_only(dataset: str) -> None:
    sets = [
        Dataset(np.full((3, 28, 28), ink, np.uint8), np.full(3, label, np.uint8))
        for ink, label in [(1, 4), (2, 5), (3, 6)]
    ]
    for split, ink, label in zip(SPLITS, (1, 2, 3), (4, 5, 6), strict=True):
        for scene in compose(dataset, split, 3, 0, mnist=Mnist(*sets)):
            assert set(scene.labels) == {label}
            assert (scene.image % ink == 0).all()
            assert scene.image[scene.image > 0].min() == ink


@pytest.mark.parametrize("dataset", ON_BLACK)
def test_number_side_and_position_are_uniform(dataset: str) -> None:
    composed = compose(dataset, "train", 240, 2, mnist=mnist_of(FULL))
    few, many = COUNTS[dataset]
    numbers = np.bincount([len(scene.labels) for scene in composed])[few:]
    assert len(numbers) == many - few + 1
    assert chisquare(numbers).pvalue > 0.01
    shortest, longest = SIDES[dataset]
    # Only the first digit's place is uniform: later digits must avoid the earlier ones.
    first = np.stack([scene.boxes_xyxy[0] for scene in composed])
    side = first[:, 2] - first[:, 0]
    np.testing.assert_array_equal(first[:, 3] - first[:, 1], side)
    assert (side.min(), side.max()) == (shortest, longest)
    if shortest < longest:
        bins = np.linspace(shortest, longest + 1, 6)
        expected = np.histogram(np.arange(shortest, longest + 1), bins)[0]
        sides = np.histogram(side, bins)[0]
        assert chisquare(sides, expected * len(side) / expected.sum()).pvalue > 0.01
    every = np.concatenate([scene.boxes_xyxy for scene in composed])
    assert (every[:, :2].min(axis=0) == 0).all()
    assert (every[:, 2:].max(axis=0) == SIZES[dataset]).all()
    for corner in (first[:, 0], first[:, 1]):
        share = (corner + 0.5) / (SIZES[dataset] - side + 1)  # of the way
        assert chisquare(np.histogram(share, 6, (0, 1))[0]).pvalue > 0.01


@pytest.mark.parametrize("dataset", ["native", "savi-d"])
def test_squares_of_disjoint_digits_share_no_pixel(dataset: str) -> None:
    for scene in compose(dataset, "train", 60, 3, mnist=mnist_of(FULL)):
        assert not pairwise_ious(scene.boxes_xyxy).any()
        area = np.prod(scene.boxes_xyxy[:, 2:] - scene.boxes_xyxy[:, :2], axis=1).sum()
        assert (scene.image == 100).sum() == area
        assert (scene.image == 0).sum() == scene.image.size - area


def test_a_layout_that_starts_over_keeps_number_and_sides_of_its_digits() -> None:
    """Large digits are harder to place, but must not become rarer for that."""
    easily = compose("savi-d", "train", 60, 5, mnist=mnist_of(FULL))
    hardly = compose("savi-d", "train", 60, 5, mnist=mnist_of(FULL), max_tries=1)
    assert not any(pairwise_ious(scene.boxes_xyxy).any() for scene in hardly)
    moved = 0
    for one, other in zip(easily, hardly, strict=True):
        sides = [scene.boxes_xyxy[:, 2] - scene.boxes_xyxy[:, 0] for scene in (one, other)]
        np.testing.assert_array_equal(*sides)
        moved += not np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
    assert moved > 20


def test_boxes_are_tight_and_squares_overlap_earlier_boxes_by_less_than_the_limit() -> None:
    """In `mnist-od`, with bars, which are as high as their squares but less wide."""
    margins = {}  # of the ink within the square: left, right
    for side in range(15, 100):
        bar = Image.fromarray(BAR.astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
        inked = np.flatnonzero(np.asarray(bar).any(axis=0))
        margins[side] = int(inked[0]), int(side - 1 - inked[-1])
    assert min(left + right for left, right in margins.values()) >= 1
    nearest = closest_squares = 0.0
    for scene in compose("mnist-od", "train", 60, 6, mnist=mnist_of(BAR)):
        x0, y0, x1, y1 = scene.boxes_xyxy.T
        left, right = np.array([margins[side] for side in y1 - y0]).T
        np.testing.assert_array_equal(x1 - x0 + left + right, y1 - y0)
        squares = np.stack([x0 - left, y0, x1 + right, y1], axis=1)
        assert (squares[:, :2] >= 0).all()
        assert (squares[:, 2:] <= 300).all()
        for k in range(1, len(squares)):
            ious = box_iou(squares[k : k + 1], scene.boxes_xyxy[:k])
            nearest = max(nearest, ious.max())
        closest_squares = max([closest_squares, *pairwise_ious(squares)])
    assert 0.23 < nearest < 0.25  # the limit holds, and no lower one
    assert closest_squares > 0.25  # the limit is for boxes, not squares


def test_ink_adds_up_and_clips() -> None:
    ink: set[int] = set()
    for scene in compose("mnist-od", "train", 30, 7, mnist=mnist_of(FULL)):
        depth = np.zeros((300, 300), np.int64)
        for x0, y0, x1, y1 in scene.boxes_xyxy:
            depth[y0:y1, x0:x1] += 1
        np.testing.assert_array_equal(scene.image, np.minimum(depth * 100, 255))
        ink.update(scene.image.ravel().tolist())
    assert ink == {0, 100, 200, 255}


@pytest.mark.parametrize(
    ("dataset", "split", "message"),
    [
        ("mnist", "test", "native, savi-d, mnist-od, page, textured, got 'mnist'"),
        ("native", "val", "train, validation, test, got 'val'"),
        ("native", "count", "train, validation, test, got 'count'"),
    ],
)
def test_unknown_names_are_refused(dataset: str, split: str, message: str, mnist: Mnist) -> None:
    with pytest.raises(ValueError, match=message):
        compose(dataset, split, 1, 0, mnist=mnist)


def test_coloured_is_an_alias_of_textured(mnist: Mnist) -> None:
    assert canonical_dataset("coloured") == canonical_dataset("textured") == "textured"
    assert "coloured" not in SCENE_DATASETS
    alias = compose("coloured", "test", 1, 3, mnist=mnist)[0]
    scene = compose("textured", "test", 1, 3, mnist=mnist)[0]
    np.testing.assert_array_equal(alias.image, scene.image)


def test_a_textured_scene_has_pinned_labels_and_boxes(mnist: Mnist) -> None:
    """Its former name, "coloured", still seeds the random stream."""
    scene = compose("textured", "test", 1, 0, mnist=mnist)[0]
    assert scene.labels.tolist() == [9, 3, 2, 1]
    assert scene.boxes_xyxy[0].tolist() == [202, 104, 216, 124]
