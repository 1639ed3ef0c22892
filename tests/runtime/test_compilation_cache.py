"""The cache folder, and compiled programs that later processes load."""

import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from digits_jax.runtime.compilation_cache import (
    PACKAGE_FOLDER,
    _delete_oldest_executables,
    _environment_hash,
    _source_hash,
    aot_cached,
)


def classify(picture: Path, cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run("classify", picture, cache, **variables)


def run(
    name: str, picture: Path, cache: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command on a picture, with a cache folder and further environment variables."""
    command = [str(Path(sys.executable).with_name("digits-jax")), name, str(picture)]
    clean = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    environment = {**clean, "DIGITS_JAX_CACHE": str(cache), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_programs_are_stored_for_the_next_process(tmp_path: Path) -> None:
    picture, cache = tmp_path / "digit.png", tmp_path / "cache"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    first = classify(picture, cache)
    assert first.returncode == 0
    (folder,) = (cache / "compiled").iterdir()
    stored = {file.name for file in folder.glob("*-cache")}
    assert any("predict" in name for name in stored)
    second = classify(picture, cache)
    assert second.stdout == first.stdout
    assert {file.name for file in folder.glob("*-cache")} == stored


@pytest.mark.parametrize("open_to_all", [".", "compiled"])
def test_programs_are_not_stored_where_everyone_can_write(open_to_all: str, tmp_path: Path) -> None:
    picture, cache = tmp_path / "digit.png", tmp_path / "cache"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    (cache / "compiled").mkdir(mode=0o700, parents=True)
    (cache / open_to_all).chmod(0o777)
    result = classify(picture, cache)
    assert result.returncode == 0
    assert "compiled programs are not stored" in result.stderr
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_the_folder_of_programs_is_the_user_s_alone(tmp_path: Path) -> None:
    picture, cache = tmp_path / "digit.png", tmp_path / "cache"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    assert classify(picture, cache).returncode == 0
    (folder,) = (cache / "compiled").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_detect_is_traced_again_only_if_the_stored_program_is_damaged(tmp_path: Path) -> None:
    picture, cache = tmp_path / "bar.png", tmp_path / "cache"
    pixels = np.zeros((40, 50), np.uint8)
    pixels[10:30, 22:26] = 255
    Image.fromarray(pixels).save(picture)
    one_device = {"XLA_FLAGS": "", "JAX_LOG_COMPILES": "1"}
    first = run("detect", picture, cache, **one_device)
    assert first.returncode == 0
    files = {*cache.glob("compiled/*-whole/*")}
    file = min(files)
    whole = file.read_bytes()
    second = run("detect", picture, cache, **one_device)
    assert second.stdout == first.stdout
    assert "classify_block" not in second.stderr
    assert file.read_bytes() == whole
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    third = run("detect", picture, cache, **one_device)
    assert third.stdout == first.stdout
    assert "classify_block" in third.stderr
    fourth = run("detect", picture, cache, **one_device)
    assert (fourth.stdout, "classify_block" in fourth.stderr) == (first.stdout, False)
    assert {*file.parent.iterdir()} == files


def test_deleting_executables_keeps_the_newest_and_leaves_room_for_one(tmp_path: Path) -> None:
    for age, name in enumerate("dcba"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / ".temporary").touch()
    _delete_oldest_executables(tmp_path, max_executables=3)
    assert {file.name for file in tmp_path.iterdir()} == {"d", "c", ".temporary"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package with modules in rooms, and in folders of rooms."""
    folder = tmp_path / "package"
    for name in ("__init__", "a/__init__", "a/one", "b/one", "b/c/__init__", "b/c/two"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(f"name = {name!r}\n")
    return folder


@pytest.mark.parametrize("name", ["__init__", "a/__init__", "a/one", "b/one", "b/c/two"])
def test_a_changed_module_of_any_folder_changes_the_key(source: Path, name: str) -> None:
    before = _source_hash(source)
    assert _source_hash(source) == before
    with (source / f"{name}.py").open("a") as module:
        module.write("# changed\n")
    assert _source_hash(source) != before


def test_a_new_removed_renamed_or_swapped_module_changes_the_key(source: Path) -> None:
    hashes = [_source_hash(source)]
    (source / "b/c/new.py").touch()
    hashes.append(_source_hash(source))
    (source / "b/c/new.py").rename(source / "a/new.py")
    hashes.append(_source_hash(source))
    one, other = source / "a/one.py", source / "b/one.py"
    texts = one.read_text(), other.read_text()
    other.write_text(texts[0])
    one.write_text(texts[1])
    hashes.append(_source_hash(source))
    one.unlink()
    hashes.append(_source_hash(source))
    assert len(set(hashes)) == len(hashes)


def test_other_files_do_not_change_the_key(source: Path) -> None:
    before = _source_hash(source)
    (source / "a/__pycache__").mkdir()
    (source / "a/__pycache__/one.cpython-311.pyc").touch()
    (source / "notes.txt").touch()
    assert _source_hash(source) == before


def test_the_key_depends_on_the_source_and_is_of_the_whole_package_by_default(source: Path) -> None:
    rooms = {module.relative_to(PACKAGE_FOLDER).parts[0] for module in PACKAGE_FOLDER.rglob("*.py")}
    assert {"models", "detect", "runtime", "__init__.py"} <= rooms
    before = _environment_hash(source)
    assert _environment_hash(PACKAGE_FOLDER) != before
    (source / "b/c/two.py").write_text("")
    _environment_hash.cache_clear()
    assert _environment_hash(source) != before


def test_without_the_cache_the_function_itself_is_called() -> None:
    """`on_compile` is not called. The tests have several devices, which alone disable storing."""

    def function(x: object, *, factor: int) -> tuple[object, int]:
        return x, factor

    x = jnp.arange(3)
    assert aot_cached(function, on_compile=pytest.fail, factor=2)(x) == (x, 2)


@pytest.mark.slow
def test_detect_works_without_a_writable_cache(tmp_path: Path) -> None:
    picture, file = tmp_path / "blank.png", tmp_path / "file"
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(picture)
    file.touch()
    done = run("detect", picture, file, XLA_FLAGS="")
    assert done.returncode == 0
    assert '"detections": []' in done.stdout


def test_classify_works_without_a_writable_cache(tmp_path: Path) -> None:
    picture, file = tmp_path / "digit.png", tmp_path / "file"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    file.touch()
    done = classify(picture, file)
    assert done.returncode == 0
    assert "digit.png: " in done.stdout
    assert "Traceback" not in done.stderr


def test_the_folder_in_jax_compilation_cache_dir_is_used(tmp_path: Path) -> None:
    picture, folder = tmp_path / "digit.png", tmp_path / "jax"
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(picture)
    variables = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = classify(picture, tmp_path / "cache", **variables)
    assert done.returncode == 0
    assert not (tmp_path / "cache" / "compiled").exists()
    assert any(folder.iterdir())
