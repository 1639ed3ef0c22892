"""Compiled programs, stored in the cache folder for later processes."""

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from stat import S_ISVTX
from typing import Any

import flax
import jax
import jaxlib.version
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.experimental.serialize_executable import deserialize_and_load, serialize
from jax.stages import Compiled, Lowered

from digits_jax.runtime.files import atomic_write, cache_folder
from digits_jax.runtime.hardware import cpu_features
from digits_jax.runtime.jax_config import temporary_jax_config
from digits_jax.runtime.progress import log

PACKAGE_FOLDER = Path(__file__).parents[1]
MAX_CACHE_BYTES = 2**30  # of JAX's cache; the least recently used programs are deleted first
MAX_EXECUTABLES = 128  # programs of 0.2 to 3 MB that `aot_cached` stores
EXECUTABLES_SUFFIX = "whole"  # of the folder, beside JAX's, that `aot_cached` uses


def enable_compilation_cache() -> None:
    """Makes JAX store compiled programs in the cache folder, for later processes.

    Programs for a CPU depend on its instruction set and on jaxlib, so each combination of CPU
    features and jaxlib version has a folder of its own. If `JAX_COMPILATION_CACHE_DIR` is set, JAX
    uses that folder, and this function changes nothing. If the folder cannot be written, or others
    could write to it, programs are not stored, and a message says so: who can write a program there
    can make this user run it.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    if not _make_private(_programs_folder()):
        folder = _programs_folder()
        log(f"compiled programs are not stored: {folder} must be writable for you, and you alone")
    else:
        jax.config.update("jax_compilation_cache_dir", str(_programs_folder()))
        jax.config.update("jax_compilation_cache_max_size", MAX_CACHE_BYTES)
        # Programs that compile quickly are stored as well, because a command has many of them.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def aot_cached(
    function: Any, *, on_compile: Callable[..., None] | None = None, **static: Any
) -> Callable[..., Any]:
    """Returns a jitted function whose compiled programs later processes load without tracing.

    JAX's own cache looks programs up by their lowered form, and lowering takes as long as importing
    JAX. Here the key is the shapes of the arguments and the source of the package.

    Programs are stored only if `enable_compilation_cache` has been called and this process has one
    device. Otherwise the function is called as it is. Of several processes each stores programs of
    its own, since a program belongs to a device's number; JAX's cache stores those of process 0
    alone. The result must not be called from several threads at once.

    Args:
      function: a function that `jax.jit` returned.
      on_compile: called before a program is compiled, with the arguments of the call. It is never
        called if programs are not stored.
      static: the function's static arguments.

    Returns:
      A function of the remaining arguments, which are arrays or pytrees of arrays.
    """
    folder = _executables_folder()
    config = jax.config.values
    is_enabled = (
        config["jax_compilation_cache_dir"] == str(_programs_folder())
        and config["jax_enable_compilation_cache"]
    )
    if not (is_enabled and jax.local_device_count() == 1 and _make_private(folder)):
        return lambda *args: function(*args, **static)
    programs: dict[str, Compiled] = {}

    def call(*args: Any) -> Any:
        shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), args)
        leaves, tree = jax.tree.flatten(shapes)
        name = f"{function.__module__}.{function.__name__} {tree} {leaves} {sorted(static.items())}"
        if name not in programs:
            key = hashlib.sha256(f"{_environment_hash()} {name}".encode()).hexdigest()[:32]
            program = _load(folder / key)
            if program is None:
                if on_compile:
                    on_compile(*args)
                program = _compile_and_store(folder / key, function.lower(*args, **static))
            programs[name] = program
        return programs[name](*args)

    return call


def _make_private(folder: Path) -> bool:
    """Creates a folder for programs; returns whether only this user, or root, can write there.

    The folder above has to be as private, and the cache folder at least not open to all. On
    Windows, where there are no such modes, the user's profile protects the cache.
    """
    if os.name == "nt":
        return True
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # lstat, since a link may lead to a folder that someone else prepared
        stats = [path.lstat() for path in (folder, folder.parent)]
        cache_mode = cache_folder().stat().st_mode
    except OSError:
        return False
    is_own = all(stat.st_uid in (0, os.getuid()) for stat in stats)
    is_closed = not any(stat.st_mode & 0o022 for stat in stats)
    return is_own and is_closed and (not cache_mode & 0o002 or bool(cache_mode & S_ISVTX))


def _load(path: Path) -> Compiled | None:
    try:
        checksum, program = path.read_bytes().split(b"\n", 1)
        if checksum != _checksum(program):
            return None
        serialized, in_tree, out_tree = pickle.loads(program)
        devices = jax.local_devices()[:1]
        return deserialize_and_load(serialized, in_tree, out_tree, execution_devices=devices)
    except Exception:  # missing, damaged or of another version: the caller compiles it again
        return None


def _compile_and_store(path: Path, lowered: Lowered) -> Compiled:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _delete_oldest_executables(path.parent)
        with atomic_write(path) as temporary:
            temporary.touch()  # fails before the long compilation if the folder is not writable
            # A program that JAX loads from its own cache cannot be serialised again.
            with _compilation_cache_disabled():
                program = lowered.compile()
            pickled = pickle.dumps(serialize(program))
            temporary.write_bytes(_checksum(pickled) + b"\n" + pickled)
        return program
    except (OSError, ValueError, RuntimeError):  # not writable or not serialisable
        return lowered.compile()


def _delete_oldest_executables(folder: Path, max_executables: int = MAX_EXECUTABLES) -> None:
    """Deletes the oldest programs, so that there is room for one more."""
    with suppress(FileNotFoundError):  # another process may delete the same files
        files = [file for file in folder.iterdir() if not file.name.startswith(".")]
        files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[max_executables - 1 :]:
            file.unlink()


@contextmanager
def _compilation_cache_disabled() -> Iterator[None]:
    with temporary_jax_config(jax_enable_compilation_cache=False):
        reset_cache()
        try:
            yield
        finally:
            reset_cache()


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


@cache
def _environment_hash(source_folder: Path = PACKAGE_FOLDER) -> str:
    """Returns a hash of all that a compiled program depends on, apart from its arguments.

    That is the source of the package, the versions and options of JAX and Flax, and the device.

    Args:
      source_folder: the folder whose Python modules are hashed, with those of its subfolders.
    """
    (device,) = jax.local_devices()[:1]
    versions = jax.__version__, flax.__version__, device.client.platform_version
    options = jax.config.values, os.environ.get("XLA_FLAGS")
    text = str((options, versions, device.device_kind, device.id))
    return hashlib.sha256(f"{text} {_source_hash(source_folder)}".encode()).hexdigest()


def _source_hash(folder: Path) -> str:
    """Returns a hash of the paths and contents of all Python modules in a folder."""
    digest = hashlib.sha256()
    for module in sorted(folder.rglob("*.py")):
        content = hashlib.sha256(module.read_bytes()).hexdigest()
        digest.update(f"{module.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _programs_folder() -> Path:
    return cache_folder() / "compiled" / f"{jaxlib.version.__version__}-{_cpu_hash()}"


def _executables_folder() -> Path:
    return _programs_folder().with_name(f"{_programs_folder().name}-{EXECUTABLES_SUFFIX}")


@cache
def _cpu_hash() -> str:
    return hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
