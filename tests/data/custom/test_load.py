"""Each format is read by its content, framed, and divided."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import save_image
from digit_files import (
    load,
    write_csv,
    write_idx_pair,
    write_libsvm,
    write_npz,
    write_parquet,
    write_picture_folder,
)
from PIL import Image

from digits_jax.data.custom.load import load_custom_digits
from digits_jax.data.custom.splits import SPLITS, split_digits
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import MNIST_SHA256, Dataset, Mnist
from digits_jax.detect.inputs import read_single_digits
from digits_jax.images.mask_box import mask_to_box
from digits_jax.images.read import ImageError

CLASSIC = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
DOTTED = ("Train-Images.idx3-ubyte", "Train-Labels.idx1-ubyte")
PACKED = ("mine_images.gz", "mine_labels.gz")
WRITERS: dict[str, Callable[[Path, np.ndarray, np.ndarray], Path]] = {
    "idx": lambda path, *arrays: write_idx_pair(path, *arrays, names=CLASSIC, pack=False),
    "idx with dots": lambda path, *arrays: write_idx_pair(path, *arrays, names=DOTTED, pack=False),
    "idx.gz": lambda path, *arrays: write_idx_pair(path, *arrays, names=PACKED, pack=True),
    "npz": write_npz,
    "csv": write_csv,
    "csv without header": lambda path, *arrays: write_csv(path, *arrays, header=False),
    "csv.gz": lambda path, *arrays: write_csv(path, *arrays, pack=True),
    "parquet": write_parquet,
    "pictures": write_picture_folder,
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_every_format_gives_the_same_digits(
    writer: Callable[[Path, np.ndarray, np.ndarray], Path],
    own: Dataset,
    mnist: Mnist,
    tmp_path: Path,
) -> None:
    path = writer(tmp_path / "mine", np.asarray(own.images), np.asarray(own.labels))
    custom = load(mnist, path)
    assert custom.sha256 == split_digits(own, mnist).sha256
    assert custom.describe() == {
        "sources": [str(path)],
        "train": [16] * 10,
        "validation": [2] * 10,
        "test": [2] * 10,
        "left_out": 0,
    }


def test_a_format_is_told_by_the_content_and_not_by_the_name(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    expected = split_digits(own, mnist).sha256
    for write in (write_npz, write_csv, write_parquet):
        path = write(tmp_path / "mine", np.asarray(own.images), np.asarray(own.labels))
        assert load(mnist, path.rename(tmp_path / "data.bin")).sha256 == expected


def test_usps_of_libsvm_has_labels_from_1_values_from_minus_1_and_16_px(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    small = np.stack(
        [
            np.asarray(Image.fromarray(i[4:24, 4:24]).resize((16, 16)))
            for i in np.asarray(own.images)
        ]
    )
    custom = load(mnist, write_libsvm(tmp_path / "usps", small, np.asarray(own.labels)))
    counts = custom.describe()
    assert [sum(column) for column in zip(*(counts[s] for s in SPLITS), strict=True)] == [20] * 10
    for image in np.concatenate([np.asarray(split.images) for split in custom.splits]):
        x0, y0, x1, y1 = mask_to_box(image > 0)
        assert image.max() == 255
        assert max(x1 - x0, y1 - y0) == 20


def test_dark_ink_and_other_ranges_are_the_same_digits(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    images, labels = np.asarray(own.images), np.asarray(own.labels)
    expected = split_digits(own, mnist).sha256
    for name, changed in {
        "negative": 255 - images,
        "floats": (images / np.float32(255)).astype(np.float32),
        "signed": (images / 127.5 - 1).astype(np.float32),
        "axis": images[..., None],
        "flat": images.reshape(len(images), -1),
    }.items():
        np.savez(tmp_path / f"{name}.npz", images=changed, labels=labels[:, None])
        assert load(mnist, tmp_path / f"{name}.npz").sha256 == expected, name


def test_emnist_is_turned_by_its_name_or_the_marker(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    turned, labels = np.asarray(own.images).swapaxes(1, 2), np.asarray(own.labels)
    expected = split_digits(own, mnist).sha256
    names = ("emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte")
    folder = write_idx_pair(tmp_path / "emnist", turned, labels, names=names, pack=False)
    assert load(mnist, folder).sha256 == expected
    assert load(mnist, folder / names[0]).sha256 == expected
    for write in (write_npz, write_csv, write_parquet):
        path = write(tmp_path / "mine", turned, labels)
        assert load(mnist, f"emnist:{path}").sha256 == expected
        assert load(mnist, path).sha256 != expected
    letters = tuple(name.replace("digits", "letters") for name in names)
    folder = write_idx_pair(tmp_path / "l", turned, labels, names=letters, pack=False)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected digits, found EMNIST's letters"):
        load(mnist, folder)


def test_several_sources_and_pairs_are_taken_together(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    images, labels = np.asarray(own.images), np.asarray(own.labels)
    expected = split_digits(own, mnist).sha256
    odd = write_npz(tmp_path / "odd", images[1::2], labels[1::2])
    raw = tmp_path / "MNIST" / "raw"  # as torchvision has it, packed and unpacked
    for part, names in ((slice(0, 100, 2), CLASSIC), (slice(100, None, 2), DOTTED)):
        names = (names[0].replace("Train", "t10k"), names[1].replace("Train", "t10k"))
        write_idx_pair(raw, images[part], labels[part], names=names, pack=False)
        packed = (f"{names[0]}.gz", f"{names[1]}.gz")
        write_idx_pair(raw, images[part], labels[part], names=packed, pack=True)
    for folder in (tmp_path, tmp_path / "MNIST", raw):
        shutil.copy(odd, folder.parent / "odd.npz")
        if folder == tmp_path:
            odd.unlink()
            odd = tmp_path.parent / "odd.npz"
        assert load(mnist, folder, odd).sha256 == expected


def test_a_picture_in_any_ink_is_framed_as_classify_frames_it(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    """Large, dark on coloured paper."""
    images, labels = np.asarray(own.images), np.asarray(own.labels)
    for k in range(0, len(images), 4):
        ink = np.asarray(Image.fromarray(images[k]).resize((140, 140), Image.Resampling.BICUBIC))
        paper = np.array([240, 230, 200]) * (1 - ink[..., None] / 300)
        save_image(tmp_path / str(labels[k]) / f"{k}.png", paper.astype(np.uint8))
    expected = {
        (path.parent.name, framed.tobytes())
        for path, framed in read_single_digits(sorted(tmp_path.glob("*/*.png")), normalised=True)
        if not isinstance(framed, ImageError)
    }
    found = {
        (str(label), image.tobytes())
        for split in load(mnist, tmp_path).splits
        for image, label in zip(np.asarray(split.images), np.asarray(split.labels), strict=True)
    }
    assert found == expected
    assert len(found) == 50


def test_unreadable_pictures_are_listed_and_counted_and_other_files_ignored(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    folder = write_picture_folder(tmp_path, np.asarray(own.images), np.asarray(own.labels))
    (folder / "3" / "broken.png").write_bytes(b"\x89PNG\r\n")
    Image.new("L", (40, 40), 255).save(folder / "4" / "blank.png")
    (folder / "4" / "notes.txt").write_text("mine")
    (folder / "crops.csv").write_text("name,label\n")
    (folder / "none").mkdir()
    messages: list[str] = []
    custom = load_custom_digits([folder], mnist, messages.append)
    assert custom.left_out == 2
    text = "\n".join(messages)
    assert "broken.png" in text
    assert "blank.png is blank" in text
    assert "not read: none" in text
    assert "160 + 20 + 20 for training, validation and test, 2 left out" in text
    assert custom.sha256 == split_digits(own, mnist).sha256


def test_many_unreadable_pictures_are_counted_beyond_the_tenth(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    folder = write_picture_folder(tmp_path, np.asarray(own.images), np.asarray(own.labels))
    for k in range(13):
        (folder / "3" / f"broken{k}.png").write_bytes(b"no picture")
    messages: list[str] = []
    assert load_custom_digits([folder], mnist, messages.append).left_out == 13
    assert sum(message.startswith("Left out: ") for message in messages) == 11
    assert "Left out: 3 more" in messages


def test_letters_are_left_out(own: Dataset, mnist: Mnist, tmp_path: Path) -> None:
    labels = np.asarray(own.labels).astype(np.int64)
    letters = np.full(7, 36)
    images = np.asarray(own.images)
    np.savez(
        tmp_path / "balanced.npz",
        images=np.concatenate([images, images[:7]]),
        labels=np.concatenate([labels, letters]),
    )
    custom = load(mnist, tmp_path / "balanced.npz")
    assert custom.left_out == 7
    assert custom.sha256 == split_digits(own, mnist).sha256


def test_a_copy_of_mnist_in_any_order_is_mnist(mnist: Mnist, tmp_path: Path) -> None:
    images, labels = (np.concatenate(arrays) for arrays in zip(*mnist, strict=True))
    order = np.random.default_rng(0).permutation(len(labels))
    np.savez(tmp_path / "copy.npz", x=images[order], y=labels[order])
    custom = load(mnist, tmp_path / "copy.npz")
    assert custom.sha256 == MNIST_SHA256
    assert custom.splits is mnist


def test_pictures_of_mnist_keep_their_split(mnist: Mnist, tmp_path: Path) -> None:
    parts = [(split.images[:40], split.labels[:40]) for split in mnist]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    np.savez(tmp_path / "part.npz", x=images, y=labels)
    custom = load(mnist, tmp_path / "part.npz")
    for split, (pictures, _) in zip(custom.splits, parts, strict=True):
        assert {i.tobytes() for i in np.asarray(split.images)} == {i.tobytes() for i in pictures}
