"""Training configurations by the names that their fields had up to version 0.1."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from digits_jax.train.config import FORMER_NAMES, TrainConfig

# Fields that version 0.1 does not know. They are left out of what it reads if they are not used.
NEW_FIELDS = (
    "negative_framed",
    "other_hands",
    "isolated_digits",
    "label_smoothing",
    "train_on_validation",
    "mnist_share",
    "convolution_share",
)


def to_former_names(config: TrainConfig) -> dict[str, Any]:
    """Returns the fields of a configuration by the names that they had up to version 0.1."""
    return {
        FORMER_NAMES.get(name, name): value
        for name, value in dataclasses.asdict(config).items()
        if name not in NEW_FIELDS or value != getattr(TrainConfig, name)
    }


def from_former_names(fields: Mapping[str, Any]) -> TrainConfig:
    """Returns the configuration whose fields are given by their former names.

    Raises:
      TypeError: a field is missing or unknown.
      ConfigError: a field is outside its range.
    """
    names = {former: name for name, former in FORMER_NAMES.items()}
    return TrainConfig(**{names.get(name, name): value for name, value in fields.items()})
