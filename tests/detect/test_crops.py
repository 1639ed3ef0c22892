"""The digits of pages as pictures: what they show, their names, and interrupted runs."""

import csv
from contextlib import suppress
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from page_results import digits
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.detect import detect, detect_batch
from digits_jax.detect.components import find_components
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crops import open_crop_folder, page_name
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.result_files import FinishedPages
from digits_jax.images.folders import Page
from digits_jax.images.mnist_format import frame_digit, frame_ink
from digits_jax.images.normalise import normalise
from digits_jax.images.pixels import uint8_to_float
from digits_jax.runtime.errors import ArgumentError

NOTHING = FinishedPages()
DOUBLE = np.ones((2, 2), np.uint8)  # scales pixels
A, B = Page(Path("scans/a.png")), Page(Path("scans/b.tif"), 1)


def found(*labels: int) -> Detections:
    """Returns detections of these labels, each with a crop of its own grey value."""
    boxes = [[k, 2, 10 + k, 20] for k in range(len(labels))]
    crops = np.stack([np.full((28, 28), 10 * k, np.uint8) for k in range(len(labels))])
    return digits(boxes, list(labels), [0.9 - k / 8 for k in range(len(labels))])._replace(
        crops=crops
    )


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def test_the_crop_of_a_digit_by_itself_is_framed_as_mnist_s_are(mnist: Mnist) -> None:
    """Digits of MNIST, each somewhere on a page with dirt."""
    params, images = digits_jax.load_pretrained(), np.array(mnist.validation.images[:8])
    images[images < 60] = 0  # what is fainter does not count as ink
    page = np.zeros((60, 8 * 50), np.uint8)
    for k, image in enumerate(images):
        page[10:38, 50 * k + 8 : 50 * k + 36] = image
    page[2:6, ::7] = 255  # dirt above
    result = detect(params, page)
    assert result.crops is not None
    assert result.crops.shape == (len(result.labels), 28, 28)
    assert len(result.labels) >= 7
    for (x0, _, x1, _), crop in zip(result.boxes_xyxy, result.crops, strict=True):
        k = (x0 + x1) // 2 // 50
        alone = np.zeros_like(page)
        alone[10:38, 50 * k + 8 : 50 * k + 36] = images[k]
        np.testing.assert_array_equal(crop, frame_digit(alone))


def test_crops_are_what_the_detector_read(mnist: Mnist) -> None:
    """On a page of handwriting: each component's crop is `frame_ink` of its own ink alone."""
    params = digits_jax.load_pretrained()
    ink = normalise(compose("page", "validation", 1, seed=2)[0].image)
    result = detect(params, ink, min_score=0.8)
    assert result.crops is not None
    threshold = DEFAULT_CONFIG.components.ink_threshold
    by_box = {part.box: part.ink for part in find_components(ink, threshold, 1.0)}
    boxes = [tuple(box) for box in result.boxes_xyxy.tolist()]
    own = [k for k, box in enumerate(boxes) if box in by_box]
    assert len(own) >= 5
    for k in own:
        np.testing.assert_array_equal(result.crops[k], frame_ink(by_box[boxes[k]]))
    logits = digits_jax.classify(params, jnp.asarray(uint8_to_float(result.crops)[..., None]))
    agree = np.asarray(logits.argmax(axis=1)) == result.labels
    assert agree.mean() >= 0.9


def test_touching_digits_are_cut_apart(mnist: Mnist) -> None:
    """Two digits in one component: each crop shows its own digit, framed, more than the other."""
    params = digits_jax.load_pretrained()
    digits_ = [np.kron(np.asarray(mnist.validation.images[k]), DOUBLE) for k in (8, 11)]
    page = np.zeros((60, 120), np.uint8)
    for x, digit in zip((0, 22), digits_, strict=True):
        page[2:58, x : x + 56] = np.maximum(page[2:58, x : x + 56], digit)
    threshold = DEFAULT_CONFIG.components.ink_threshold
    assert len(find_components(page, threshold, 8.0)) == 1
    result = detect(params, page)
    assert sorted(result.labels.tolist()) == [2, 8]
    assert result.crops is not None
    frames = {8: frame_ink(digits_[0]).astype(int), 2: frame_ink(digits_[1]).astype(int)}
    for label, crop in zip(result.labels.tolist(), result.crops, strict=True):
        distances = {
            other: int(np.abs(crop.astype(int) - frame).sum()) for other, frame in frames.items()
        }
        assert distances[label] < 0.8 * distances[10 - label]


def test_crops_follow_their_detections(mnist: Mnist) -> None:
    """Through thresholds, batches and strips; the search of all windows has none."""
    params = digits_jax.load_pretrained()
    image = normalise(compose("page", "validation", 1, seed=2)[0].image)
    result = detect(params, image)
    assert result.crops is not None
    best = result.from_score(float(result.scores[3]))
    np.testing.assert_array_equal(best.crops, result.crops[: len(best.labels)])
    batch = detect_batch(params, np.stack([image, np.zeros_like(image)]))
    np.testing.assert_array_equal(batch.of_image(0).crops, result.crops)
    assert batch.of_image(1).crops is not None
    assert len(batch.of_image(1).labels) == 0

    class Rows:
        shape = image.shape

        def read(self, begin: int, end: int) -> np.ndarray:
            return image[begin:end]

    strips = Detector(params).detect_rows(Rows(), strip_pixels=image.shape[1] * 800)
    np.testing.assert_array_equal(strips.crops, result.crops)


def test_each_digit_is_a_picture_in_the_folder_of_its_label(tmp_path: Path) -> None:
    with open_crop_folder(tmp_path / "new/crops", NOTHING, resume=False) as crops:
        crops.write(A, found(7, 1, 7))
        crops.write(B, found(0))
    folder = tmp_path / "new/crops"
    a, b = page_name(A), page_name(B)
    assert files(folder) == {f"7/{a}-0.png", f"1/{a}-1.png", f"7/{a}-2.png", f"0/{b}-0.png"}
    assert (np.asarray(Image.open(folder / f"7/{a}-2.png")) == 20).all()
    assert {path.name for path in folder.iterdir()} == {"0", "1", "7", "crops.csv"}
    assert rows(folder / "crops.csv")[2:] == [
        {
            **{"file": f"7/{a}-2.png", "image": "scans/a.png", "page": "0", "label": "7"},
            **{"score": "0.65", "x0": "2", "y0": "2", "x1": "12", "y1": "20"},
        },
        {
            **{"file": f"0/{b}-0.png", "image": "scans/b.tif", "page": "1", "label": "0"},
            **{"score": "0.9", "x0": "0", "y0": "2", "x1": "10", "y1": "20"},
        },
    ]


def test_names_are_unique_safe_and_the_same_in_each_run() -> None:
    pages = [
        *(Page(Path(name)) for name in ("x.png", "a/x.png", "a/X.png", "b/x.png", "x.jpg")),
        *(Page(Path("x.tif"), k) for k in range(3)),
        *(Page(Path(name)) for name in ("x-page0.png", "../x.png", 'a:b?"\n.png', "a\udcff.png")),
        Page(Path(f"{250 * 'ü'}.png")),
    ]
    names = [page_name(page) for page in pages]
    assert len({name.casefold() for name in names}) == len(pages)
    assert all(len(f".{name}-12345.0123456789ab.png".encode()) < 255 for name in names)
    assert all(set(name) <= {*"abcxXpage0123456789def_-ü"} for name in names)
    assert names == [page_name(page) for page in pages]
    assert page_name(B).startswith("b-")
    assert page_name(B).endswith("-page1")


def write_until_killed(folder: Path) -> None:
    """Writes a page and a half into a folder, as a process that is killed does."""
    two = found(3, 3)
    assert two.crops is not None
    half = two._replace(crops=two.crops[:1])  # writing it fails after the first picture
    with suppress(ValueError), open_crop_folder(folder, NOTHING, resume=False) as crops:
        crops.write(A, found(7, 1))
        crops.write(B, half)
    assert f"3/{page_name(B)}-0.png" in files(folder)
    assert f"3/{page_name(B)}-1.png" in (folder / "crops.csv.part").read_text()
    with (folder / "crops.csv.part").open("a") as torn:
        torn.write("3/torn")


def test_an_interrupted_run_continues_without_doubles(tmp_path: Path) -> None:
    """The result of the second page is not written. What a person has moved stays moved."""
    write_until_killed(tmp_path)
    assert not (tmp_path / "crops.csv").exists()
    a, b = page_name(A), page_name(B)
    (tmp_path / f"7/{a}-0.png").rename(tmp_path / f"1/{a}-0.png")
    finished = FinishedPages(frozenset([(str(A.image), None)]))
    with open_crop_folder(tmp_path, finished, resume=True) as crops:
        assert files(tmp_path) == {f"1/{a}-0.png", f"1/{a}-1.png"}
        crops.write(B, found(3))
    assert files(tmp_path) == {f"1/{a}-0.png", f"1/{a}-1.png", f"3/{b}-0.png"}
    manifest = tmp_path / "crops.csv"
    assert [row["file"] for row in rows(manifest)] == [
        f"7/{a}-0.png",
        f"1/{a}-1.png",
        f"3/{b}-0.png",
    ]
    everything = FinishedPages(finished.pages | {(str(B.image), 1)})
    before = manifest.read_bytes()
    with open_crop_folder(tmp_path, everything, resume=True) as crops:
        crops.write(Page(Path("c.png")), found(9))
    assert manifest.read_bytes().startswith(before)
    assert len(rows(manifest)) == 4
    assert not (tmp_path / "crops.csv.part").exists()


def test_the_folder_of_another_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    write_until_killed(tmp_path)
    before = files(tmp_path)
    with (
        pytest.raises(FileExistsError, match="is not empty: expected a new or empty folder"),
        open_crop_folder(tmp_path, NOTHING, resume=False),
    ):
        pass
    for pages in (frozenset[tuple[str, int | None]](), frozenset([("other.png", None)])):
        with (
            pytest.raises(ArgumentError, match="2 of its pages are not among them"),
            open_crop_folder(tmp_path, FinishedPages(pages), resume=True),
        ):
            pass
    assert files(tmp_path) == before
    (tmp_path / "x").mkdir()
    with (
        pytest.raises(
            ArgumentError, match=r"that run wrote no digits there \(pages in its results: 1\)"
        ),
        open_crop_folder(tmp_path / "x", FinishedPages(frozenset([("a", None)])), resume=True),
    ):
        pass
    (tmp_path / "crops.csv.part").write_text("a,b\n1,2\n")
    with (
        pytest.raises(ArgumentError, match="cannot be continued"),
        open_crop_folder(tmp_path, NOTHING, resume=True),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(FileExistsError, match="is a file"),
        open_crop_folder(tmp_path / "file", NOTHING, resume=False),
    ):
        pass
