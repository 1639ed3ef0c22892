import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits_jax.runtime import compilation_cache as module
from digits_jax.runtime.compilation_cache import cache_folder


def classify(picture: Path, cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run("classify", picture, cache, **variables)


def run(
    name: str, picture: Path, cache: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("digits-jax")), name, str(picture)]
    clean = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    environment = {**clean, "DIGITS_JAX_CACHE": str(cache), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_programs_are_kept_for_the_next_process(tmp_path: Path) -> None:
    picture, cache = tmp_path / "digit.png", tmp_path / "cache"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    first = classify(picture, cache)
    assert first.returncode == 0
    (folder,) = (cache / "programs").iterdir()
    kept = {file.name for file in folder.glob("*-cache")}
    assert any("softmax" in name for name in kept)
    second = classify(picture, cache)
    assert second.stdout == first.stdout
    assert {file.name for file in folder.glob("*-cache")} == kept


def test_a_search_is_not_traced_again(tmp_path: Path) -> None:
    """Nor is it where the file that keeps it is damaged: then it is made anew, and as before."""
    picture, cache = tmp_path / "blank.png", tmp_path / "cache"
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(picture)
    one_device = {"XLA_FLAGS": "", "JAX_LOG_COMPILES": "1"}
    first = run("detect", picture, cache, **one_device)
    assert first.returncode == 0
    (file,) = cache.glob("programs/*-whole/*")
    whole = file.read_bytes()
    second = run("detect", picture, cache, **one_device)
    assert second.stdout == first.stdout
    assert "find_peaks" not in second.stderr
    assert file.read_bytes() == whole
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    third = run("detect", picture, cache, **one_device)
    assert third.stdout == first.stdout
    assert "find_peaks" in third.stderr
    fourth = run("detect", picture, cache, **one_device)
    assert (fourth.stdout, "find_peaks" in fourth.stderr) == (first.stdout, False)
    assert [*file.parent.iterdir()] == [file]


def test_the_newest_programs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EXECUTABLES", 3)
    for age, name in enumerate("dcba"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / ".being-written").touch()
    module._forget_the_oldest(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"d", "c", ".being-written"}


def test_without_room_for_it_a_search_is_as_ever(tmp_path: Path) -> None:
    picture, file = tmp_path / "blank.png", tmp_path / "file"
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(picture)
    file.touch()
    done = run("detect", picture, file, XLA_FLAGS="")
    assert done.returncode == 0
    assert '"detections": []' in done.stdout


def test_a_cache_that_cannot_be_written_to_stops_nothing(tmp_path: Path) -> None:
    picture, file = tmp_path / "digit.png", tmp_path / "file"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    file.touch()
    done = classify(picture, file)
    assert done.returncode == 0
    assert "digit.png: " in done.stdout
    assert "Traceback" not in done.stderr


def test_the_folder_that_jax_was_told_of_is_used(tmp_path: Path) -> None:
    picture, told = tmp_path / "digit.png", tmp_path / "told"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    told_jax = {
        "JAX_COMPILATION_CACHE_DIR": str(told),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = classify(picture, tmp_path / "cache", **told_jax)
    assert done.returncode == 0
    assert not (tmp_path / "cache" / "programs").exists()
    assert any(told.iterdir())


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_JAX_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("DIGITS_JAX_CACHE", "")
    assert cache_folder().name == "digits-jax"
