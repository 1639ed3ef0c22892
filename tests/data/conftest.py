"""MNIST's original files, and an environment in which no source has MNIST."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mnist_cases import RecordingFetch, link_files, pretend_installed, write_idx

from digits_jax.data.idx import RawMnist
from digits_jax.data.mnist import Mnist


@pytest.fixture(scope="session")
def raw(mnist: Mnist) -> RawMnist:
    images, labels = map(np.concatenate, zip(mnist.train, mnist.validation, strict=True))
    return RawMnist(images, labels, np.asarray(mnist.test.images), np.asarray(mnist.test.labels))


@pytest.fixture(scope="session")
def originals(raw: RawMnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four original files, not to be changed."""
    return write_idx(tmp_path_factory.mktemp("originals"), raw)


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    """A folder with the four original files, for the test to damage."""
    return link_files(originals, tmp_path / "mine")


@pytest.fixture
def cache(mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an empty cache; no TFDS dataset, no TensorFlow and no package index."""
    monkeypatch.setenv("DIGITS_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "no-tfds"))
    pretend_installed(monkeypatch, "tensorflow", False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    yield tmp_path / "cache" / "mnist"
    shutil.rmtree(tmp_path)  # pytest would keep gigabytes


@pytest.fixture
def fetch(raw: RawMnist) -> RecordingFetch:
    """A wheel that needs no network."""
    return RecordingFetch(raw)
