"""A small convolutional network that reads handwritten digits, as pure JAX functions."""

from typing import TYPE_CHECKING, Any

from digits_jax.models.cnn import classify, init
from digits_jax.models.weights import load_pretrained
from digits_jax.version import __version__ as __version__

if TYPE_CHECKING:
    from digits_jax.train.checkpoints import load_checkpoint

__all__ = ["classify", "init", "load_checkpoint", "load_pretrained"]


# Modules that moved in version 0.1. Their former names are kept for one release.
_MOVED_MODULES = {
    "scenes": "digits_jax.data.scenes",
    "lines": "digits_jax.detect.reading_order",
    "weights": "digits_jax.models.weights",
    "normalise": "digits_jax.images.normalise",
    "training": "digits_jax.train.loop",
}


def __getattr__(name: str) -> Any:
    """Imports `load_checkpoint`, and modules by their former names, when they are first used.

    Classification needs no checkpoints, whose libraries take a second to import.
    """
    if name == "load_checkpoint":
        from digits_jax.train.checkpoints import load_checkpoint

        return load_checkpoint
    if name in _MOVED_MODULES:
        import importlib
        import warnings

        module = _MOVED_MODULES[name]
        warnings.warn(
            f"digits_jax.{name} is now {module}; import that module, the old name will be removed",
            DeprecationWarning,
            stacklevel=2,
        )
        return importlib.import_module(module)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
