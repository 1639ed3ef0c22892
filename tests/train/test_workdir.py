"""Work folders: `run.json`, also of version 0.1, and `metrics.jsonl`."""

import dataclasses
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from short_run import SHORT, first_digits
from training_runs import contents

import digits_jax
from digits_jax.data.mnist import MNIST_SHA256, Dataset
from digits_jax.runtime.jax_config import temporary_jax_config
from digits_jax.train.config import TrainConfig
from digits_jax.train.former_names import to_former_names
from digits_jax.train.hands.draw import other_hands_sha256, other_hands_spec
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.negatives.draw import NegativePictures, negatives_sha256, negatives_spec
from digits_jax.train.pictures import DrawnPictures
from digits_jax.train.workdir import (
    RunInfo,
    WorkdirError,
    read_metrics,
    read_run,
    record_pictures,
    start_run,
)

OLD_RUNS = Path(__file__).with_name("data")  # run.json as version 0.1 wrote it
COMPOSING = dataclasses.replace(CONFIGS["standard"], steps=2, batch_size=4)
# What `standard` was in version 0.1, beside its steps.
FIELDS_0_1 = {
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "negative_off_centre": 0.05,
    "negative_wrong_size": 0.12,
    "negative_shapes": 0.12,
    "negative_textures": 0.17,
    "negative_blank": 0.02,
    "negative_framed": 0.0,
    "jittered_crops": 0.2,
    "other_hands": 0.0,
    "isolated_digits": 0.0,
    "convolution_share": 1.0,
}


def test_a_run_leaves_its_description_metrics_and_plot(uninterrupted: Path) -> None:
    rows = read_metrics(uninterrupted / "metrics.jsonl")
    assert [row.step for row in rows] == [4, 8, 10, 12, 16, 20, 24]
    for line in (uninterrupted / "metrics.jsonl").read_text().splitlines():
        assert list(json.loads(line)) == [
            "step",
            "train_loss",
            "train_accuracy",
            "validation_accuracy",
            "test_accuracy",
            "images_per_second",
            "seconds",
            "mnist_test_accuracy",
        ]
    assert rows[-1].train_loss < rows[0].train_loss
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(rows))
    assert (uninterrupted / "training_curve.png").read_bytes()[:4] == b"\x89PNG"
    description = json.loads((uninterrupted / "run.json").read_text())
    assert description == {
        "config": dataclasses.asdict(SHORT),
        "recipe": to_former_names(SHORT),
        "seed": 1,
        "data_sha256": MNIST_SHA256,
        "negatives_sha256": None,
        "other_hands_sha256": None,
        "digits": None,
        "init": None,
        "init_sha256": None,
    }


def test_metrics_are_read_up_to_a_line_that_was_cut_off(
    tmp_path: Path, uninterrupted: Path
) -> None:
    text = (uninterrupted / "metrics.jsonl").read_text()
    path = tmp_path / "metrics.jsonl"
    path.write_text(text[:-10])
    assert read_metrics(path) == read_metrics(uninterrupted / "metrics.jsonl")[:-1]
    assert read_metrics(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("paper", {"batch_size": 16, "steps": 8, "evaluate_every": 4}),
        ("standard", {"batch_size": 16, "steps": 8, "evaluate_every": 4, **FIELDS_0_1}),
    ],
)
def test_a_run_of_version_0_1_is_read_continued_and_written_in_both_forms(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copy(OLD_RUNS / f"run_0_1_{name}.json", tmp_path / "run.json")
    old = json.loads((tmp_path / "run.json").read_text())
    config = dataclasses.replace(CONFIGS[name], **changes)
    run = RunInfo(config, 0, MNIST_SHA256)
    assert read_run(tmp_path) == run

    longer = run._replace(config=dataclasses.replace(config, steps=12))
    start_run(tmp_path, longer)
    if config.composes:
        longer = longer._replace(negatives_sha256="0" * 64)
        record_pictures(tmp_path, longer)
    assert read_run(tmp_path) == longer
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["recipe"] == {**old["recipe"], "steps": 12}
    assert stored["config"] == dataclasses.asdict(longer.config)
    assert (stored["seed"], stored["data_sha256"]) == (old["seed"], old["data_sha256"])


def test_the_config_is_read_without_the_former_names(tmp_path: Path) -> None:
    run = RunInfo(SHORT, 3, MNIST_SHA256)
    start_run(tmp_path, run)
    stored = json.loads((tmp_path / "run.json").read_text())
    del stored["recipe"], stored["negatives_sha256"], stored["other_hands_sha256"]
    (tmp_path / "run.json").write_text(json.dumps(stored))
    assert read_run(tmp_path) == run


def constant_negatives(grey: int) -> NegativePictures:
    """Returns pictures of one grey, in the place of those that take seconds to draw."""
    specs = (spec for spec in negatives_spec(framed=True) if spec is not None)
    return NegativePictures(*(np.full(spec.shape, grey, np.uint8) for spec in specs))


def constant_pictures(grey: int, label: int = 0) -> DrawnPictures:
    """Returns negatives of one grey, and digits of another grey that all have one label."""
    images, labels = other_hands_spec()
    hands = Dataset(np.full(images.shape, 99, np.uint8), np.full(labels.shape, label, np.uint8))
    return DrawnPictures(constant_negatives(grey), hands)


@pytest.fixture
def cached_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Makes JAX compile a program once that several runs of a test need."""
    folder = str(tmp_path_factory.mktemp("programs"))
    with temporary_jax_config(jax_compilation_cache_dir=folder):
        reset_cache()
        yield
    reset_cache()


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion", "cached_programs")
def test_a_run_records_its_negatives_and_is_not_continued_with_others(tmp_path: Path) -> None:
    mnist = first_digits()
    train(COMPOSING, tmp_path, mnist=mnist, draw_pictures=lambda *_: constant_pictures(7))
    run = read_run(tmp_path)
    hands = constant_pictures(7).hands
    assert hands is not None
    assert run.negatives_sha256 == negatives_sha256(constant_negatives(7))
    assert run.other_hands_sha256 == other_hands_sha256(hands)
    before = contents(tmp_path)
    longer = dataclasses.replace(COMPOSING, steps=3)
    message = (
        r"other negative pictures:\n.* there, .* now\n.*matplotlib \d.*PyWavelets \d.*pillow \d"
    )
    with pytest.raises(WorkdirError, match=message):
        train(longer, tmp_path, mnist=mnist, draw_pictures=lambda *_: constant_pictures(8))
    with pytest.raises(WorkdirError, match=r"other hands:\n.*hands_sha256: .* there"):
        train(longer, tmp_path, mnist=mnist, draw_pictures=lambda *_: constant_pictures(7, 1))
    after = contents(tmp_path)
    assert {path: content for path, (_, content) in after.items()} == {
        path: content for path, (_, content) in before.items()
    }

    # An unknown hash, as of version 0.1, is accepted and then recorded.
    stored = json.loads((tmp_path / "run.json").read_text())
    del stored["negatives_sha256"]
    (tmp_path / "run.json").write_text(json.dumps(stored))
    train(longer, tmp_path, mnist=mnist, draw_pictures=lambda *_: constant_pictures(8))
    assert read_run(tmp_path) == RunInfo(
        longer, 0, MNIST_SHA256, negatives_sha256(constant_negatives(8)), run.other_hands_sha256
    )


def test_a_config_that_composes_nothing_draws_and_records_no_negatives(tmp_path: Path) -> None:
    def fail(digits: Dataset, config: TrainConfig) -> DrawnPictures:
        raise AssertionError("pictures were drawn")

    config = dataclasses.replace(SHORT, optimizer="sgd", steps=1)
    train(config, tmp_path, mnist=first_digits(), draw_pictures=fail)
    assert json.loads((tmp_path / "run.json").read_text())["negatives_sha256"] is None


def test_a_folder_without_a_readable_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="holds no training run"):
        digits_jax.load_checkpoint(tmp_path)
    for text in ("{", "{}", '{"config": {"steps": 1}, "seed": 0}', "[]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(WorkdirError, match=r"run\.json cannot be read"):
            digits_jax.load_checkpoint(tmp_path)


def test_a_run_without_a_checkpoint_is_named(tmp_path: Path, uninterrupted: Path) -> None:
    (tmp_path / "run.json").write_text((uninterrupted / "run.json").read_text())
    with pytest.raises(WorkdirError, match="no checkpoint"):
        digits_jax.load_checkpoint(tmp_path)
