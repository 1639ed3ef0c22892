"""Trained weights by their name: what `--weights` and `--init` accept."""

import hashlib
from pathlib import Path

import jax
import numpy as np

from digits_jax.models.cnn import Params
from digits_jax.models.weights import load_pretrained, load_weights

PRETRAINED = "pretrained"
PRETRAINED_ALIAS = "released"  # the name until version 0.1


def resolve_weights(weights: str) -> Params:
    """Loads the parameters that `--weights` or `--init` names.

    Args:
      weights: "pretrained" (or its older name "released") for the weights that come with the
        package; a folder that `digits-jax train` has written ("./pretrained" for a folder of that
        name); or a file that `save_weights` has written.

    Returns:
      The parameters as float32.

    Raises:
      WeightsError: the package's weights or the file are missing or damaged.
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
    """
    if is_pretrained(weights):
        return load_pretrained()
    if is_weights_file(weights):
        return load_weights(weights)
    # Orbax takes a second to import, and only a training run needs it.
    from digits_jax.train.checkpoints import load_checkpoint

    return load_checkpoint(weights)


def is_pretrained(weights: str) -> bool:
    """Returns whether a name means the weights that come with the package."""
    return weights in (PRETRAINED, PRETRAINED_ALIAS)


def is_weights_file(weights: str) -> bool:
    """Returns whether a name means a file, and not a folder of a training run."""
    return weights.endswith(".safetensors") or Path(weights).is_file()


def params_sha256(params: Params) -> str:
    """Returns the hash of all parameters, in the order of their names."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return digest.hexdigest()
