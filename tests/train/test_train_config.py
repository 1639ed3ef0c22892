"""Training configurations: their ranges, their former names, and when they evaluate."""

import dataclasses
from typing import Any

import pytest
from windows import PLAIN

from digits_jax.train.config import FORMER_NAMES, ConfigError, TrainConfig
from digits_jax.train.former_names import from_former_names, to_former_names
from digits_jax.train.named_configs import CONFIGS, get_config


@pytest.mark.parametrize(
    "field",
    [
        *("negative_off_centre", "negative_wrong_size", "negative_shapes", "negative_textures"),
        *("negative_blank", "negative_framed", "isolated_digits"),
        *("jittered_crops", "neighbours"),
    ],
)
def test_every_kind_of_window_needs_composition(field: str) -> None:
    assert not PLAIN.composes
    config = dataclasses.replace(PLAIN, **{field: 0.1})  # type: ignore[arg-type]
    assert config.composes
    assert not config.warps


@pytest.mark.parametrize("field", ["scale", "aspect", "shear", "rotation_deg", "elastic_sigma_px"])
def test_warps_need_no_composition(field: str) -> None:
    assert not PLAIN.warps
    config = dataclasses.replace(PLAIN, **{field: 1.1 if field != "shear" else 0.1})  # type: ignore[arg-type]
    assert config.warps
    assert not config.composes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negative_off_centre": -0.1}, "shares"),
        ({"negative_blank": -0.01, "negative_textures": 0.5}, "shares"),
        ({"negative_shapes": 1.0}, "shares from 0 whose sum is below 1; got .*_shapes 1,"),
        ({"negative_wrong_size": 0.5, "negative_off_centre": 0.5}, "whose sum is below 1"),
        ({"negative_textures": float("nan")}, "shares"),
        ({"jittered_crops": 1.0}, "shares"),
        ({"negative_framed": 1.0}, "shares"),
        ({"other_hands": 1.1}, "other_hands to be 0 to 1"),
        ({"mnist_share": 1.1}, "mnist_share to be 0 to 1"),
        ({"isolated_digits": -0.1}, "isolated_digits to be 0 to 1"),
        ({"convolution_share": 1.1}, "convolution_share to be 0 to 1"),
        ({"label_smoothing": 1.0}, "label_smoothing to be at least 0 and below 1; got 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing to be at least 0 and below 1"),
        ({"label_smoothing": float("nan")}, "label_smoothing to be at least 0 and below 1"),
        ({"neighbours": -0.1}, "neighbours to be 0 to 3"),
        ({"neighbours": 3.5}, "neighbours to be 0 to 3"),
        ({"scale": 0.9}, "scale to be 1 to 2"),
        ({"scale": float("nan")}, "scale to be 1 to 2"),
        ({"rotation_deg": -1.0}, "rotation_deg to be 0 to 45 degrees"),
        ({"shear": 1.1}, "shear to be 0 to 1"),
        ({"aspect": 0.9}, "aspect to be 1 to 2"),
        ({"elastic_sigma_px": float("nan")}, "elastic_sigma_px to be 0 to 5 pixels"),
        ({"batch_size": 0}, "batch_size to be at least 1 digit"),
        ({"steps": -1}, "steps to be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every to be at least 1 step"),
        ({"translate_px": 28}, "translate_px to be 0 to 27 pixels"),
        ({"learning_rate": 0.0}, "learning_rate to be above 0 and finite"),
        ({"learning_rate": float("inf")}, "learning_rate to be above 0 and finite"),
        ({"learning_rate": float("nan")}, "learning_rate to be above 0 and finite"),
    ],
)
def test_fields_outside_their_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PLAIN, **change)
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{**dataclasses.asdict(CONFIGS["paper"]), **change})


def test_former_names_are_those_of_version_0_1_and_convert_both_ways() -> None:
    config = CONFIGS["standard"]
    former = to_former_names(config)
    assert list(former) == [
        *("batch_size", "steps", "optimizer", "learning_rate", "schedule", "shift"),
        *("evaluate_every", "factors", "scale", "turn", "slant", "stretch", "bend", "neighbours"),
        *("off_centre", "wrong_size", "shapes", "textures", "blank", "negative_framed"),
        *("near_misses", "other_hands", "isolated_digits", "convolution_share"),
    ]
    assert (former["turn"], former["shift"], former["near_misses"]) == (10.0, 3, 0.13)
    assert from_former_names(former) == config
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert set(FORMER_NAMES) < fields
    assert not {"negative_framed", "other_hands", "isolated_digits"} & {
        *to_former_names(CONFIGS["paper"])
    }
    with pytest.raises(TypeError, match="twist"):
        from_former_names({**former, "twist": 1})


def test_a_config_is_found_by_its_name_or_refused_with_the_names_there_are() -> None:
    assert get_config("paper") is CONFIGS["paper"]
    with pytest.raises(
        ConfigError, match="config named paper, quick, accurate, standard or finetune; got 'fast'"
    ):
        get_config("fast")


def test_a_run_is_evaluated_early_on_then_regularly_and_at_its_end() -> None:
    config = dataclasses.replace(CONFIGS["paper"], steps=2500, evaluate_every=1000)
    steps = [step for step in range(1, 2501) if config.is_evaluation_step(step)]
    assert steps == [10, 30, 100, 300, 1000, 2000, 2500]
