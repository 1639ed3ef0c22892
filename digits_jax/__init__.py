"""A small convolutional network that reads handwritten digits, as pure JAX functions."""

from typing import TYPE_CHECKING, Any

from digits_jax.models.cnn import classify, init
from digits_jax.models.weights import load_pretrained
from digits_jax.version import __version__ as __version__

if TYPE_CHECKING:
    from digits_jax.train.checkpoints import load_checkpoint

__all__ = ["classify", "init", "load_checkpoint", "load_pretrained"]


def __getattr__(name: str) -> Any:
    """Imports `load_checkpoint` when it is first asked for: classifying needs no checkpoints."""
    if name == "load_checkpoint":
        from digits_jax.train.checkpoints import load_checkpoint

        return load_checkpoint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
