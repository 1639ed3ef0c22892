"""A folder of idx files is read and verified; damage is an error that names the file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mnist_cases import (
    NAMES,
    assert_same_mnist,
    change_magic,
    change_size,
    compress,
    empty,
    flip_a_bit,
    insert_noise,
    lengthen,
    refuse,
    truncate,
    write_idx,
)

from digits_jax.data.idx import IDX_FILES, DataError, RawMnist
from digits_jax.data.mnist import Mnist, load_mnist

pytestmark = pytest.mark.usefixtures("cache")


def test_the_test_files_are_the_canonical_ones(originals: Path) -> None:
    for file in IDX_FILES:
        assert hashlib.sha256((originals / file.name).read_bytes()).hexdigest() == file.sha256


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "gz"])
def test_a_folder_of_idx_files_loads(
    compressed: bool, mnist: Mnist, raw: RawMnist, tmp_path: Path
) -> None:
    folder = write_idx(tmp_path / "mine", raw, compressed)
    messages: list[str] = []
    assert_same_mnist(load_mnist(folder, messages.append), mnist)
    assert messages == [f"MNIST comes from {folder}"]


RAW_DAMAGE = (truncate, empty, lengthen, change_magic, change_size, flip_a_bit)
DAMAGE: dict[str, Callable[[Path], Path]] = {
    **{damage.__name__: damage for damage in RAW_DAMAGE},
    "gz of longer": lambda path: compress(lengthen(path)),
    "gz truncated": lambda path: truncate(compress(path)),
    "gz empty": lambda path: empty(compress(path)),
    "gz without magic": lambda path: change_magic(compress(path)),
    "gz with noise": lambda path: insert_noise(compress(path)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
@pytest.mark.parametrize("name", [NAMES[1], NAMES[2]])
def test_a_damaged_file_is_named_and_neither_repaired_nor_cached(
    damage: Callable[[Path], Path], name: str, folder: Path, cache: Path
) -> None:
    damaged = damage(folder / name)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match=name) as error:
        load_mnist(folder, refuse, sources=refuse)
    assert str(folder) in str(error.value)
    assert damaged.name.startswith(name)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert not cache.exists()


def test_wrong_content_is_reported_with_both_digests(folder: Path) -> None:
    actual = hashlib.sha256(flip_a_bit(folder / NAMES[0]).read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"expected SHA-256 {IDX_FILES[0].sha256}, found {actual}"):
        load_mnist(folder)


def test_labels_in_another_order_are_refused(raw: RawMnist, tmp_path: Path) -> None:
    swapped = raw._replace(train_labels=raw.train_labels[::-1])
    with pytest.raises(DataError, match="train-labels"):
        load_mnist(write_idx(tmp_path / "mine", swapped))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / NAMES[3]).unlink()
    with pytest.raises(DataError, match=f"missing {NAMES[3]} "):
        load_mnist(folder)


def test_a_folder_without_mnist_is_refused_with_the_expected_names(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="no MNIST in it: expected train-images-idx3-ubyte, train-l"
    ):
        load_mnist(tmp_path, sources=refuse)
    with pytest.raises(DataError, match="not a folder"):
        load_mnist(tmp_path / "absent", sources=refuse)
