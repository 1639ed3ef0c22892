"""The cache folder: MNIST once verified, and the programs that XLA has compiled."""

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import flax
import jax
import jaxlib.version
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.experimental.serialize_executable import deserialize_and_load, serialize
from jax.stages import Compiled, Lowered
from platformdirs import user_cache_dir

from digits_jax.runtime.files import atomic_write
from digits_jax.runtime.hardware import cpu_features
from digits_jax.runtime.jax_config import temporary_jax_config

MAX_CACHE_BYTES = 2**30  # bytes of compiled programs; the least recently used go first
MAX_EXECUTABLES = 64  # programs of some 3 MB that `aot_cached` keeps
EXECUTABLES_SUFFIX = "whole"  # the folder, beside JAX's, of the programs that `aot_cached` keeps


def cache_folder() -> Path:
    """`DIGITS_JAX_CACHE`, or the platform's place for an application's caches."""
    return Path(os.environ.get("DIGITS_JAX_CACHE") or user_cache_dir("digits-jax"))


def enable_compilation_cache() -> None:
    """Has JAX keep what it compiles in the cache folder, for the next process.

    Programs for a CPU hold its instructions, so each kind of host has a folder of its own, and each
    jaxlib. A folder that JAX has been told of (`JAX_COMPILATION_CACHE_DIR`) is left as it is, and
    one that cannot be written to costs a warning and no more.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(_programs()))
        jax.config.update("jax_compilation_cache_max_size", MAX_CACHE_BYTES)
        # However quick to compile: a command has many small programs.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def aot_cached(function: Any, **static: Any) -> Callable[..., Any]:
    """A jitted function as programs that the next process does not even trace.

    JAX looks up what it has compiled by the lowered program, and to get there takes as long as to
    import it. Here the shapes of the arguments and the package's own source say which it is. Where
    programs are not kept by `enable_compilation_cache`, or there are several devices, it is the function.
    Not for several threads.

    Args:
      function: of `jax.jit`, the same whatever the values of its arguments.
      static: those of its arguments that are part of the program.
    """
    folder = _programs().with_name(f"{_programs().name}-{EXECUTABLES_SUFFIX}")
    told = jax.config.values
    keeps = told["jax_compilation_cache_dir"] == str(_programs())
    if not (keeps and told["jax_enable_compilation_cache"] and jax.device_count() == 1):
        return lambda *args: function(*args, **static)
    programs: dict[str, Compiled] = {}

    def call(*args: Any) -> Any:
        shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), args)
        leaves, tree = jax.tree.flatten(shapes)
        name = f"{function.__module__}.{function.__name__} {tree} {leaves} {sorted(static.items())}"
        if name not in programs:
            path = folder / hashlib.sha256(f"{_makers()} {name}".encode()).hexdigest()[:32]
            programs[name] = _loaded(path) or _compiled(path, function.lower(*args, **static))
        return programs[name](*args)

    return call


def _loaded(path: Path) -> Compiled | None:
    try:
        digest, program = path.read_bytes().split(b"\n", 1)
        if digest != _digest(program):
            return None
        return deserialize_and_load(*pickle.loads(program))
    except Exception:  # not there, or of what is not here: it is made anew
        return None


def _compiled(path: Path, lowered: Lowered) -> Compiled:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_the_oldest(path.parent)
        with atomic_write(path) as temporary:
            temporary.touch()
            # A program that comes from JAX's own cache cannot be written again.
            with _without_cache():
                program = lowered.compile()
            pickled = pickle.dumps(serialize(program))
            temporary.write_bytes(_digest(pickled) + b"\n" + pickled)
        return program
    except (
        OSError,
        ValueError,
        RuntimeError,
    ):  # not to be written to, or not to be written: JAX may have it
        return lowered.compile()


def _forget_the_oldest(folder: Path) -> None:
    with suppress(FileNotFoundError):  # another process does the same
        files = [file for file in folder.iterdir() if not file.name.startswith(".")]
        files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[MAX_EXECUTABLES - 1 :]:
            file.unlink()


@contextmanager
def _without_cache() -> Iterator[None]:
    with temporary_jax_config(jax_enable_compilation_cache=False):
        reset_cache()
        try:
            yield
        finally:
            reset_cache()


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


@cache
def _makers() -> str:
    """All that decides what becomes of a function: the package, JAX and Flax, the device."""
    (device,) = jax.devices()
    told = jax.config.values, os.environ.get("XLA_FLAGS"), jax.__version__, flax.__version__
    digest = hashlib.sha256(
        str((told, device.device_kind, device.client.platform_version)).encode()
    )
    for module in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _programs() -> Path:
    return cache_folder() / "programs" / f"{jaxlib.version.__version__}-{_host()}"


@cache
def _host() -> str:
    return hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
