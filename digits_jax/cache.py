"""The cache folder: MNIST once verified, and the programs that XLA has compiled."""

import hashlib
import os
from pathlib import Path

import jax
import jaxlib.version
from platformdirs import user_cache_dir

from digits_jax.hardware import abilities

LARGEST = 2**30  # bytes of compiled programs; the least recently used go first


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
        folder = cache_folder() / "programs" / f"{jaxlib.version.__version__}-{_host()}"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", LARGEST)
        # However quick to compile: a command has many small programs.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _host() -> str:
    return hashlib.sha256(abilities().encode()).hexdigest()[:12]
