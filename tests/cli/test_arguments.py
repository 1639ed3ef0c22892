"""The values of `--weights`, and the detector config that comes with the weights."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import digits_jax
from digits_jax.cli.arguments import load_model
from digits_jax.detect.config import DEFAULT_CONFIG, HEADER_KEY
from digits_jax.models.weights import save_weights
from digits_jax.train.initial_weights import resolve_weights
from digits_jax.train.workdir import WorkdirError

pytestmark = pytest.mark.usefixtures("pretrained")


@pytest.mark.parametrize("name", ["pretrained", "released"])
def test_pretrained_weights_have_two_names(name: str, untrained: Path) -> None:
    expected = resolve_weights(str(untrained))
    named = resolve_weights(name)
    np.testing.assert_array_equal(named["dense2"]["kernel"], expected["dense2"]["kernel"])


def test_load_model_reads_the_config_of_a_weights_file_without_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(DEFAULT_CONFIG, min_score=0.4, max_size=50.0)
    path = tmp_path / "own.safetensors"
    save_weights(path, digits_jax.init(jax.random.key(1)), {HEADER_KEY: config.to_json()})
    model = load_model(str(path))
    assert model.config == config
    loaded = resolve_weights(str(path))["dense2"]["kernel"]
    np.testing.assert_array_equal(model.params["dense2"]["kernel"], loaded)
    assert capsys.readouterr().err == ""


def test_load_model_logs_that_a_file_without_a_config_gets_that_of_the_pretrained_weights(
    untrained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_model(str(untrained)).config == DEFAULT_CONFIG
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the weights {untrained} come without detector constants" in line
    assert "those of the pretrained weights are used" in line


def test_load_model_logs_nothing_for_the_pretrained_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert load_model("pretrained").config == DEFAULT_CONFIG
    assert capsys.readouterr().err == ""


def test_resolve_weights_takes_other_names_as_work_folders(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="holds no training run"):
        resolve_weights(str(tmp_path))
