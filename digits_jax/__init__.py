"""A small convolutional network that reads handwritten digits, as pure JAX functions."""

from digits_jax.checkpoint import load_checkpoint
from digits_jax.network import classify, init

__all__ = ["classify", "init", "load_checkpoint"]
__version__ = "0.1.0"
