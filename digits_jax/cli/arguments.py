"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import tyro

from digits_jax.models.cnn import Params
from digits_jax.models.weights import load_pretrained, load_weights

First = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
More = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[IMAGE …]", help_behavior_hint=""),
]
Weights = Annotated[str, tyro.conf.arg(metavar="released|WORKDIR|FILE")]


def resolve_weights(weights: str) -> Params:
    """The parameters that a person named.

    Args:
      weights: "released" for those that come with the package, a folder that
        `digits-jax train` has written to ("./released" for one of that name), or a file that
        `save_weights` has written.

    Raises:
      WeightsError: the package's or the file's are missing or damaged.
      WorkdirError: the folder holds no run or no checkpoint, or the checkpoint is damaged.
    """
    if weights == "released":
        return load_pretrained()
    if weights.endswith(".safetensors") or Path(weights).is_file():
        return load_weights(weights)
    # Imported here: all that a run's state needs, where the package's own weights need nothing.
    from digits_jax.train.checkpoints import load_checkpoint

    return load_checkpoint(weights)
