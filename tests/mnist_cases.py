"""Writes, damages and compares files of MNIST for tests, and runs Python in another process."""

import gzip
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits_jax.data.idx import IDX_FILES, RawMnist
from digits_jax.data.mnist import Mnist, Source, mnist_sources

NAMES = [file.name for file in IDX_FILES]


def run_python(
    code: str, *arguments: Path | str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs code in another process, with changed environment variables."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def refuse(*_: Any, **__: Any) -> Any:
    """Stands for a function that must not be called."""
    raise AssertionError("this must not be called")


def pretend_installed(monkeypatch: pytest.MonkeyPatch, name: str, installed: bool) -> None:
    """Makes `importlib.util.find_spec` find a package or not, whether it is installed or not."""
    find_spec = importlib.util.find_spec

    def fake_find_spec(module: str, package: str | None = None) -> ModuleSpec | None:
        if module == name:
            return ModuleSpec(name, None) if installed else None
        return find_spec(module, package)

    monkeypatch.setattr(importlib.util, "find_spec", fake_find_spec)


class RecordingFetch:
    """Returns MNIST in place of the wheel from a package index, and records the calls."""

    def __init__(self, raw: RawMnist) -> None:
        self.raw = raw
        self.calls: list[Path] = []

    def __call__(self, cache_dir: Path) -> RawMnist:
        self.calls.append(cache_dir)
        return self.raw

    @property
    def sources(self) -> Callable[[Path], Iterator[Source]]:
        return partial(mnist_sources, fetch=self)


def write_idx(folder: Path, raw: RawMnist, compressed: bool = False) -> Path:
    """Writes the four idx files and returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, raw, strict=True):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = header + array.tobytes()
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def link_files(originals: Path, folder: Path) -> Path:
    """Makes a folder with hard links to the original files and returns it."""
    return Path(shutil.copytree(originals, folder, copy_function=os.link))


def assert_same_mnist(mnist: Mnist, other: Mnist) -> None:
    """Checks that all images and labels are equal."""
    for split, expected in zip(mnist, other, strict=True):
        np.testing.assert_array_equal(split.images, expected.images)
        np.testing.assert_array_equal(split.labels, expected.labels)


# Each of these damages a file and returns its path.


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
