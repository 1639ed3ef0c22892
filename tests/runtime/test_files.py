"""Files and folders: the cache folder, checks, atomic writing."""

import os
import stat
import threading
from pathlib import Path

import pytest

from digits_jax.runtime.files import (
    atomic_write,
    cache_folder,
    check_output_file,
    make_output_folder,
    write_text_atomically,
)


def test_atomic_write_replaces_the_file_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")  # not taken for an image or a result
        assert temporary.suffix == ".txt"  # by which Pillow and Matplotlib know the format
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_atomic_write_keeps_the_old_file_if_the_block_raises(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_keeps_the_old_file_if_replacing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_replaces_the_target_of_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_text_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_atomic_write_gives_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_text_atomically(tmp_path / "atomic", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "atomic")}
    assert len(modes) == 1


def test_atomic_write_by_several_threads_leaves_one_complete_file(tmp_path: Path) -> None:
    path, barrier = tmp_path / "a", threading.Barrier(4, timeout=10)
    texts = [str(k) * 100_000 for k in range(4)]

    def write(text: str) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(text)
            barrier.wait()

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a", "28×28 px\n")
    assert (tmp_path / "a").read_bytes() == "28×28 px\n".encode()


def test_make_output_folder_creates_parents_and_refuses_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    for _ in range(2):
        make_output_folder(folder)
        assert folder.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file is a file: expected a folder to write to"):
        make_output_folder(tmp_path / "file")


def test_check_output_file_creates_parents_and_refuses_a_folder_or_a_device(tmp_path: Path) -> None:
    path = tmp_path / "a/b"
    check_output_file(path)
    assert path.parent.is_dir()
    assert not path.exists()
    path.touch()
    check_output_file(path)
    for other in (tmp_path, Path(os.devnull)):
        with pytest.raises(FileExistsError, match=f"{other} is not a file: expected a file"):
            check_output_file(other)


def test_digits_jax_cache_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_JAX_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("DIGITS_JAX_CACHE", "")
    assert cache_folder().name == "digits-jax"
