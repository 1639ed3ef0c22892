"""The cache folder: MNIST once verified, and the programs that XLA has compiled."""

import hashlib
import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jaxlib.version
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.experimental.serialize_executable import deserialize_and_load, serialize
from jax.stages import Compiled, Lowered
from platformdirs import user_cache_dir

from digits_jax.hardware import abilities
from digits_jax.outputs import replacing

LARGEST = 2**30  # bytes of compiled programs; the least recently used go first
MOST = 64  # programs of some 3 MB that `kept` keeps
WHOLE = "whole"  # the folder, beside JAX's, of the programs that `kept` keeps


def cache_folder() -> Path:
    """`DIGITS_JAX_CACHE`, or the platform's place for an application's caches."""
    return Path(os.environ.get("DIGITS_JAX_CACHE") or user_cache_dir("digits-jax"))


def keep_programs() -> None:
    """Has JAX keep what it compiles in the cache folder, for the next process.

    Programs for a CPU hold its instructions, so each kind of host has a folder of its own, and each
    jaxlib. A folder that JAX has been told of (`JAX_COMPILATION_CACHE_DIR`) is left as it is, and
    one that cannot be written to costs a warning and no more.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(_programs()))
        jax.config.update("jax_compilation_cache_max_size", LARGEST)
        # However quick to compile: a command has many small programs.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def kept(function: Any, **static: Any) -> Callable[..., Any]:
    """A jitted function as programs that the next process does not even trace.

    JAX looks up what it has compiled by the lowered program, and to get there takes as long as to
    import it. Here the shapes of the arguments and the package's own source say which it is. Where
    programs are not kept by `keep_programs`, or there are several devices, it is the function.

    Args:
      function: of `jax.jit`, the same whatever the values of its arguments.
      static: those of its arguments that are part of the program.
    """
    folder = _programs().with_name(f"{_programs().name}-{WHOLE}")
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
            path = folder / f"{_source()}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
            programs[name] = _loaded(path) or _compiled(path, function.lower(*args, **static))
        return programs[name](*args)

    return call


def _loaded(path: Path) -> Compiled | None:
    try:
        return deserialize_and_load(*pickle.loads(path.read_bytes()))
    except Exception:  # not there, or whatever a damaged file leads to: it is made anew
        return None


def _compiled(path: Path, lowered: Lowered) -> Compiled:
    # JAX's own cache is left alone: a program that comes from there cannot be written again.
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()
    try:
        program = lowered.compile()
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        reset_cache()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        others = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime)
        for k, other in enumerate(others):
            if k <= len(others) - MOST or not other.name.startswith(_source()):
                other.unlink(missing_ok=True)  # the oldest, or of another version of the package
        with replacing(path) as temporary:
            temporary.write_bytes(pickle.dumps(serialize(program)))
    except (OSError, ValueError, RuntimeError):  # full, or not to be written: as before
        pass
    return program


@cache
def _source() -> str:
    """All that decides what programs the package makes: its modules, JAX and what JAX is told."""
    told = jax.__version__, jax.default_backend(), jax.config.values, os.environ.get("XLA_FLAGS")
    digest = hashlib.sha256(str(told).encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def _programs() -> Path:
    return cache_folder() / "programs" / f"{jaxlib.version.__version__}-{_host()}"


@cache
def _host() -> str:
    return hashlib.sha256(abilities().encode()).hexdigest()[:12]
