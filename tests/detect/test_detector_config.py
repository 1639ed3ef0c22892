"""The detector's config: its JSON, and its place in the header of the weights."""

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import pytest

import digits_jax
from digits_jax.detect.config import HEADER_KEY, DetectorConfig, config_of_weights
from digits_jax.detect.steps import NmsConfig
from digits_jax.models.weights import PRETRAINED, WeightsError, save_weights
from digits_jax.runtime.errors import ArgumentError


def test_a_round_trip_through_json_changes_nothing() -> None:
    assert DetectorConfig().max_size is DetectorConfig().max_detections is None
    changed = DetectorConfig(max_size=50.0, max_detections=9, nms=NmsConfig(radius=0.1))
    for config in (DetectorConfig(), changed):
        again = DetectorConfig.from_json(config.to_json())
        assert again == config
        assert hash(again) == hash(config)
    assert changed != DetectorConfig()


def test_whole_numbers_are_accepted_as_floats() -> None:
    values = json.loads(DetectorConfig().to_json())
    config = DetectorConfig.from_json(json.dumps({**values, "min_size": 12}))
    assert config == DetectorConfig()
    assert isinstance(config.min_size, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("nms"), "nms is missing"),
        (lambda values: values["nms"].pop("radius"), r"nms\.radius is missing"),
        (lambda values: values["nms"].update(sigma=0.5), r"nms\.sigma is unknown"),
        (lambda values: values.update(sigma=0.5), "got sigma is unknown"),
        (lambda values: values.update(nms=3), "nms is 3, not an object"),
        (lambda values: values.update(min_size="15"), 'min_size is "15", not of type float'),
        (lambda values: values.update(max_size="15"), 'max_size is "15", not of type float'),
        (lambda values: values.update(method="guess"), "components or windows; got 'guess'"),
        (lambda values: values.update(max_detections=1.5), "max_detections is 1.5"),
        (lambda values: values.update(max_detections=True), "max_detections is true"),
        (lambda values: values.update(min_score=2.0), "min_score to be 0 to 1; got 2"),
        (lambda values: values.update(reliability=[]), r"reliability to be points .*; got \(\)"),
        (lambda values: values["reliability"].reverse(), "both rising from 0 to 1"),
        (lambda values: values.update(reliability=[[0, 0], [1, 0.9]]), "both rising from 0 to 1"),
        (
            lambda values: values.update(reliability=[[0, 0], [0.3, 0.5], [0.6, 0.5], [1, 1]]),
            "both rising from 0 to 1",
        ),
        (
            lambda values: values["boxes"]["class_margins_px"].pop(),
            "class_margins_px of 10 classes; got 9",
        ),
    ],
)
def test_other_keys_types_and_ranges_are_refused(change: Any, message: str) -> None:
    values = json.loads(DetectorConfig().to_json())
    change(values)
    with pytest.raises(WeightsError, match=f"expected the text to hold .*{message}") as raised:
        DetectorConfig.from_json(json.dumps(values))
    assert "to_json() writes one" in str(raised.value)


@pytest.mark.parametrize("text", ["", "[1]", "15"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="expected the text to hold a detector config"):
        DetectorConfig.from_json(text)


@pytest.mark.parametrize(
    "field",
    [{"min_score": 1.1}, {"photo_min_score": -1.0}, {"max_detections": 0}, {"min_size": 3.0}],
)
def test_fields_out_of_range_are_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(field))):
        DetectorConfig(**field)


def test_the_config_travels_in_the_header_of_the_weights(tmp_path: Path) -> None:
    params = digits_jax.init(jax.random.key(0))
    path = tmp_path / "w.safetensors"
    save_weights(path, params, {})
    assert config_of_weights(path) is None
    config = dataclasses.replace(DetectorConfig(), min_score=0.4)
    save_weights(path, params, {HEADER_KEY: config.to_json()})
    assert config_of_weights(path) == config
    save_weights(path, params, {HEADER_KEY: "{}"})
    with pytest.raises(WeightsError, match=r"the header of .*w\.safetensors .*min_size is missing"):
        config_of_weights(path)


def test_the_pretrained_weights_hold_the_default_config() -> None:
    with resources.as_file(resources.files("digits_jax.models") / PRETRAINED) as path:
        assert config_of_weights(path) == DetectorConfig()
