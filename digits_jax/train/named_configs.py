"""The training configurations by name."""

import dataclasses

from digits_jax.train.config import ConfigError, TrainConfig


def get_config(name: str) -> TrainConfig:
    """Returns one of `CONFIGS` by its name.

    Raises:
      ConfigError: there is no configuration of that name.
    """
    if name not in CONFIGS:
        *others, last = CONFIGS
        raise ConfigError(f"expected a config named {', '.join(others)} or {last}; got {name!r}")
    return CONFIGS[name]


CONFIGS = {
    # As in section 3.1. The paper does not state its batch size; experiments/LOG.md explains how
    # this one was chosen.
    "paper": TrainConfig(
        batch_size=1024,
        steps=20_000,
        optimizer="adam",
        learning_rate=1e-4,
        schedule="constant",
        translate_px=6,
        evaluate_every=1000,
    ),
    # Digits alone, for as short a time as 99.5 % takes: five epochs.
    "quick": TrainConfig(
        batch_size=256,
        steps=1000,
        optimizer="muon",
        learning_rate=2e-3,
        schedule="one-cycle",
        translate_px=2,
        compute_dtype="bfloat16",
        label_smoothing=0.1,
        evaluate_every=500,
    ),
    # Digits alone, for the fewest errors.
    "accurate": TrainConfig(
        batch_size=256,
        steps=12_000,
        optimizer="muon",
        learning_rate=2e-3,
        schedule="one-cycle",
        translate_px=2,
        compute_dtype="bfloat16",
        scale=1.1,
        rotation_deg=10.0,
        shear=0.1,
        aspect=1.05,
        elastic_sigma_px=0.5,
        label_smoothing=0.1,
        train_on_validation=True,
        evaluate_every=1000,
    ),
    # With other hands and with negatives. The convolutions learn from a part of each batch, which
    # saves time.
    "standard": TrainConfig(
        batch_size=512,
        steps=6000,
        optimizer="muon",
        learning_rate=3e-3,
        schedule="one-cycle",
        translate_px=3,
        compute_dtype="bfloat16",
        scale=1.25,
        rotation_deg=10.0,
        shear=0.15,
        aspect=1.1,
        elastic_sigma_px=1.0,
        neighbours=1.2,
        negative_off_centre=0.03,
        negative_wrong_size=0.08,
        negative_shapes=0.04,
        negative_textures=0.06,
        negative_blank=0.01,
        negative_framed=0.17,
        jittered_crops=0.13,
        other_hands=0.36,
        isolated_digits=0.55,
        convolution_share=0.5,
        evaluate_every=1000,
    ),
}
# A few minutes' training of trained weights on digits of one's own. Negatives, and MNIST's digits
# beside, keep what the weights know; experiments/studies/finetune.py measures how well.
CONFIGS["finetune"] = dataclasses.replace(
    CONFIGS["standard"],
    batch_size=128,
    steps=300,
    optimizer="adam",
    convolution_share=1.0,
    learning_rate=3e-4,
    evaluate_every=100,
    mnist_share=0.3,
    other_hands=0.1,
)
