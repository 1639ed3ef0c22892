from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare

from digits_jax.data import scenes
from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.data.scenes import SCENE_DATASETS, SPLITS, Scene, compose
from digits_jax.images.box_iou import box_iou

ON_BLACK = ("native", "savi-d", "mnist-od")
SIZES = {"native": 140, "savi-d": 128, "mnist-od": 300}
COUNTS = {"native": (3, 8), "savi-d": (3, 5), "mnist-od": (1, 20)}
SIDES = {"native": (28, 28), "savi-d": (22, 36), "mnist-od": (15, 99)}


def only(image: np.ndarray) -> Mnist:
    """Every digit of every split is this one, a 7."""
    digits = Dataset(image.astype(np.uint8)[None], np.array([7], np.uint8))
    return Mnist(digits, digits, digits)


# A digit that fills its square shows where the square is; a bar as high as its square does too,
# and leaves a margin at its left and right, so that the tight box is another.
FULL = np.full((28, 28), 100)
BAR = np.where((np.arange(28) >= 3) & (np.arange(28) < 23), 100, 0) * np.ones((28, 1))


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """IoU of each box with each before it, counted in pixels."""
    pixels = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((300, 300), bool)
        mask[y0:y1, x0:x1] = True
        pixels.append(mask)
    pairs = [(one, other) for k, one in enumerate(pixels) for other in pixels[:k]]
    return np.array([(one & other).sum() / (one | other).sum() for one, other in pairs])


def test_pairwise_iou() -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [5, 5, 5, 5]])
    others = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [1, 1, 3, 3], [5, 5, 5, 5]])
    expected = np.array([[1, 0, 4 / 16, 0], [4 / 28, 4 / 28, 1 / 19, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others), expected)


@pytest.mark.parametrize("family", ON_BLACK)
def test_scenes_are_as_described(family: str, mnist: Mnist) -> None:
    found = compose(family, "validation", 20, 0, mnist=mnist)
    assert len(found) == 20
    for image, boxes, labels in found:
        assert image.shape == (SIZES[family], SIZES[family])
        assert image.dtype == np.uint8
        assert boxes.dtype == labels.dtype == np.int64
        assert COUNTS[family][0] <= len(labels) <= COUNTS[family][1]
        assert boxes.shape == (len(labels), 4)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= SIZES[family]).all()
        outside = image.copy()
        for x0, y0, x1, y1 in boxes:
            crop = image[y0:y1, x0:x1]
            assert all(edge.any() for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))
            outside[y0:y1, x0:x1] = 0
        assert not outside.any()


@pytest.mark.parametrize("family", SCENE_DATASETS)
def test_a_scene_is_a_function_of_its_seed_family_split_and_number(
    family: str, mnist: Mnist
) -> None:
    def same(one: Scene, other: Scene) -> bool:
        return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))

    first = compose(family, "train", 4, 5, mnist=mnist)
    again = compose(family, "train", 2, 5, mnist=mnist)
    assert all(map(same, first[:2], again))
    shared = mnist._replace(test=mnist.train)
    different = [
        *first,
        compose(family, "train", 1, 6, mnist=mnist)[0],
        compose(family, "test", 1, 5, mnist=shared)[0],
    ]
    assert not any(same(a, b) for k, a in enumerate(different) for b in different[:k])


def test_scenes_stay_the_same_ones(mnist: Mnist) -> None:
    """Pinned: figures measured on composed scenes compare from one version to the next."""
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
    # Squares are apart, so that what lies in a box is one digit, pixel for pixel.
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


@pytest.mark.parametrize("family", ON_BLACK)
def test_every_family_keeps_to_its_split(family: str) -> None:
    sets = [
        Dataset(np.full((3, 28, 28), ink, np.uint8), np.full(3, label, np.uint8))
        for ink, label in [(1, 4), (2, 5), (3, 6)]
    ]
    for split, ink, label in zip(SPLITS, (1, 2, 3), (4, 5, 6), strict=True):
        for scene in compose(family, split, 3, 0, mnist=Mnist(*sets)):
            assert set(scene.labels) == {label}
            assert (scene.image % ink == 0).all()
            assert scene.image[scene.image > 0].min() == ink


@pytest.mark.parametrize("family", ON_BLACK)
def test_number_side_and_position_are_uniform(family: str) -> None:
    found = compose(family, "train", 240, 2, mnist=only(FULL))
    few, many = COUNTS[family]
    numbers = np.bincount([len(scene.labels) for scene in found])[few:]
    assert len(numbers) == many - few + 1
    assert chisquare(numbers).pvalue > 0.01
    shortest, longest = SIDES[family]
    first = np.stack([scene.boxes_xyxy[0] for scene in found])  # what comes later must give way
    side = first[:, 2] - first[:, 0]
    np.testing.assert_array_equal(first[:, 3] - first[:, 1], side)
    assert (side.min(), side.max()) == (shortest, longest)
    if shortest < longest:
        bins = np.linspace(shortest, longest + 1, 6)
        expected = np.histogram(np.arange(shortest, longest + 1), bins)[0]
        sides = np.histogram(side, bins)[0]
        assert chisquare(sides, expected * len(side) / expected.sum()).pvalue > 0.01
    every = np.concatenate([scene.boxes_xyxy for scene in found])
    assert (every[:, :2].min(axis=0) == 0).all()
    assert (every[:, 2:].max(axis=0) == SIZES[family]).all()
    for corner in (first[:, 0], first[:, 1]):
        share = (corner + 0.5) / (SIZES[family] - side + 1)  # of the way
        assert chisquare(np.histogram(share, 6, (0, 1))[0]).pvalue > 0.01


@pytest.mark.parametrize("family", ["native", "savi-d"])
def test_squares_do_not_overlap(family: str) -> None:
    for scene in compose(family, "train", 60, 3, mnist=only(FULL)):
        assert not overlaps(scene.boxes_xyxy).any()
        area = np.prod(scene.boxes_xyxy[:, 2:] - scene.boxes_xyxy[:, :2], axis=1).sum()
        assert (scene.image == 100).sum() == area
        assert (scene.image == 0).sum() == scene.image.size - area


def test_digits_that_find_no_place_keep_their_number_and_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Large digits are harder to place, and must not give way to small ones for that."""
    easily = compose("savi-d", "train", 60, 5, mnist=only(FULL))
    monkeypatch.setattr(scenes, "TRIES", 1)
    hardly = compose("savi-d", "train", 60, 5, mnist=only(FULL))
    assert not any(overlaps(scene.boxes_xyxy).any() for scene in hardly)
    moved = 0
    for one, other in zip(easily, hardly, strict=True):
        sides = [scene.boxes_xyxy[:, 2] - scene.boxes_xyxy[:, 0] for scene in (one, other)]
        np.testing.assert_array_equal(*sides)
        moved += not np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
    assert moved > 20


def test_boxes_are_tight_and_squares_keep_off_earlier_boxes() -> None:
    """In `mnist-od`, with bars: as high as their squares, less wide."""
    margins = {}  # of the ink within the square: left, right
    for side in range(15, 100):
        bar = Image.fromarray(BAR.astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
        inked = np.flatnonzero(np.asarray(bar).any(axis=0))
        margins[side] = int(inked[0]), int(side - 1 - inked[-1])
    assert min(left + right for left, right in margins.values()) >= 1
    nearest = closest_squares = 0.0
    for scene in compose("mnist-od", "train", 60, 6, mnist=only(BAR)):
        x0, y0, x1, y1 = scene.boxes_xyxy.T
        left, right = np.array([margins[side] for side in y1 - y0]).T
        np.testing.assert_array_equal(x1 - x0 + left + right, y1 - y0)
        squares = np.stack([x0 - left, y0, x1 + right, y1], axis=1)
        assert (squares[:, :2] >= 0).all()
        assert (squares[:, 2:] <= 300).all()
        for k in range(1, len(squares)):
            ious = box_iou(squares[k : k + 1], scene.boxes_xyxy[:k])
            nearest = max(nearest, ious.max())
        closest_squares = max([closest_squares, *overlaps(squares)])
    assert 0.23 < nearest < 0.25  # the rule holds, and refuses no more than it must
    assert closest_squares > 0.25  # it is the earlier digit's box that counts, not its square


def test_ink_adds_up_and_clips() -> None:
    ink: set[int] = set()
    for scene in compose("mnist-od", "train", 30, 7, mnist=only(FULL)):
        depth = np.zeros((300, 300), np.int64)
        for x0, y0, x1, y1 in scene.boxes_xyxy:
            depth[y0:y1, x0:x1] += 1
        np.testing.assert_array_equal(scene.image, np.minimum(depth * 100, 255))
        ink.update(scene.image.ravel().tolist())
    assert ink == {0, 100, 200, 255}


@pytest.mark.parametrize(
    ("family", "split", "message"),
    [
        ("mnist", "test", "native, savi-d, mnist-od, page, coloured, got 'mnist'"),
        ("native", "val", "train, validation, test, got 'val'"),
        ("native", "count", "train, validation, test, got 'count'"),
    ],
)
def test_unknown_names_are_refused(family: str, split: str, message: str, mnist: Mnist) -> None:
    with pytest.raises(ValueError, match=message):
        compose(family, split, 1, 0, mnist=mnist)
