"""A dataset that TensorFlow Datasets has written is read without TensorFlow."""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from mnist_cases import (
    RecordingFetch,
    assert_same_mnist,
    empty,
    pretend_installed,
    run_python,
    truncate,
    unlink,
)

from digits_jax.data.idx import DataError, RawMnist
from digits_jax.data.mnist import Mnist, load_mnist, mnist_sources
from digits_jax.data.tfds import find_tfds, prepare_tfds
from digits_jax.data.wheel import MNIST_WHEEL

pytestmark = pytest.mark.usefixtures("cache")

# A Python in which TensorFlow is not installed, whether it is or not.
HIDE_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

class Hider(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "tensorflow" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Hider if finder is PathFinder else finder for finder in sys.meta_path]
"""

# TFDS's own MNIST builder, serializer, shuffler and writer. Replaced are the download (there may be
# no network) and the opening of the four files, which needs TensorFlow. Images are Pillow's, since
# TFDS encodes these without TensorFlow.
PREPARE = """
from pathlib import Path
import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist

originals, data_dir = map(Path, sys.argv[1:])

def images(path, n):
    pixels = np.frombuffer(Path(path).read_bytes(), np.uint8, offset=16)
    return [Image.fromarray(image) for image in pixels.reshape(n, 28, 28)]

def labels(path, n):
    return np.frombuffer(Path(path).read_bytes(), np.uint8, offset=8).astype(np.int64)

def download(manager, urls):
    return {key: str(originals / Path(url).stem) for key, url in urls.items()}

mnist._extract_mnist_images, mnist._extract_mnist_labels = images, labels
tfds.download.DownloadManager.download_and_extract = download
tfds.disable_progress_bar()
tfds.builder("mnist:3.0.1", data_dir=data_dir, file_format="array_record").download_and_prepare()
assert "tensorflow" not in sys.modules
"""

LOAD = """
import hashlib, json
from pathlib import Path
from digits_jax.data.mnist import load_mnist

splits = load_mnist(Path(sys.argv[1]))
assert "tensorflow" not in sys.modules
print(json.dumps([hashlib.sha256(a.tobytes()).hexdigest() for split in splits for a in split]))
"""


@pytest.fixture(scope="session")
def prepared(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data folder with MNIST as TFDS itself writes it."""
    folder = tmp_path_factory.mktemp("tfds")
    result = run_python(HIDE_TENSORFLOW + PREPARE, originals, folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def tfrecord(prepared: Path, tmp_path: Path) -> Path:
    """The prepared dataset with the description of one written as TFRecord."""
    folder = Path(shutil.copytree(prepared / "mnist" / "3.0.1", tmp_path / "old/mnist/3.0.1"))
    info = json.loads((folder / "dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"
    (folder / "dataset_info.json").write_text(json.dumps({**info, "fileFormat": "tfrecord"}))
    for path in folder.glob("*.array_record-*"):
        path.rename(folder / path.name.replace("array_record", "tfrecord"))
    return tmp_path / "old"


@pytest.mark.slow
def test_a_real_tfds_dataset_is_read_without_tensorflow_and_cached(
    prepared: Path, mnist: Mnist
) -> None:
    result = run_python(HIDE_TENSORFLOW + LOAD, prepared)
    assert result.returncode == 0, result.stderr
    expected = [hashlib.sha256(array.tobytes()).hexdigest() for split in mnist for array in split]
    assert json.loads(result.stdout) == expected
    assert f"MNIST comes from {prepared}" in result.stderr
    assert_same_mnist(load_mnist(log=lambda line: None), mnist)


@pytest.mark.parametrize("part", ["", "mnist", "mnist/3.0.1"])
def test_find_tfds_takes_the_data_folder_and_the_folders_in_it(part: str, prepared: Path) -> None:
    assert find_tfds(prepared / part) == prepared / "mnist" / "3.0.1"


def test_a_prepared_dataset_is_tried_before_the_wheel(
    prepared: Path, raw: RawMnist, fetch: RecordingFetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def read(folder: Path) -> RawMnist:
        folders.append(folder)
        return raw

    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    messages: list[str] = []
    load_mnist(log=messages.append, sources=partial(mnist_sources, read=read, fetch=fetch))
    assert folders == [prepared / "mnist" / "3.0.1"]
    assert not fetch.calls
    assert messages == [f"MNIST comes from the TFDS dataset {folders[0]}"]


def test_a_tfrecord_dataset_gets_the_command_that_prepares_it_again(tfrecord: Path) -> None:
    with pytest.raises(DataError, match=r"file_format='array_record'.*_and_prepare") as error:
        load_mnist(tfrecord)
    assert str(tfrecord) in str(error.value)
    assert "--data-dir" in str(error.value)


def test_a_tfrecord_dataset_that_was_not_named_is_skipped(
    tfrecord: Path, mnist: Mnist, fetch: RecordingFetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfrecord))
    messages: list[str] = []
    assert_same_mnist(load_mnist(log=messages.append, sources=fetch.sources), mnist)
    assert len(fetch.calls) == 1
    assert len(messages) == 2
    assert str(tfrecord) in messages[0]
    assert MNIST_WHEEL.requirement in messages[1]


@pytest.mark.parametrize("damaged", ["dataset_info.json", "mnist-test.array_record-00000-of-00001"])
@pytest.mark.parametrize("damage", [truncate, empty, unlink])
def test_a_damaged_dataset_is_refused_with_its_folder(
    damaged: str, damage: Callable[[Path], Path], prepared: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(prepared / "mnist" / "3.0.1", tmp_path / "mnist/3.0.1"))
    damage(folder / damaged)
    with pytest.raises(DataError, match=str(tmp_path)) as error:
        load_mnist(tmp_path)
    assert "No module named" not in str(error.value)


@pytest.mark.parametrize("reached", [False, True], ids=["no network", "prepared"])
def test_with_tensorflow_installed_tfds_prepares_the_dataset(
    reached: bool, raw: RawMnist, fetch: RecordingFetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, "tensorflow", True)
    url = "http://127.0.0.1:9/mnist"

    def prepare() -> RawMnist:
        return raw if reached else prepare_tfds(original_url=url)

    messages: list[str] = []
    load_mnist(log=messages.append, sources=partial(mnist_sources, prepare=prepare, fetch=fetch))
    assert len(fetch.calls) == (not reached)
    assert len(messages) == 1 + (not reached)
    assert reached or f"{url} is not reached" in messages[0]
