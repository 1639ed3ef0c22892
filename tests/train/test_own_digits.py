"""Runs on digits of one's own: their data, their initial weights, and what they record."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from short_run import SHORT, first_digits
from training_runs import metrics_without_times

import digits_jax
from digits_jax.data.custom.splits import CustomDigits, split_digits
from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.mnist import MNIST_SHA256, Dataset, Mnist
from digits_jax.models.weights import save_weights
from digits_jax.train.batch import sample_batch
from digits_jax.train.comparison import describe_start
from digits_jax.train.config import TrainConfig
from digits_jax.train.evaluate import count_errors
from digits_jax.train.initial_weights import params_sha256
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.schedule import make_optimizer
from digits_jax.train.standard_error import STANDARD_ERROR, standard_error
from digits_jax.train.training_data import TrainingData, choose_digits
from digits_jax.train.workdir import RunInfo, WorkdirError, read_run, start_run

# The training of `finetune` without pictures that take long to draw.
PLAIN = {
    **dict.fromkeys(["negative_off_centre", "negative_wrong_size", "negative_shapes"], 0.0),
    **dict.fromkeys(["negative_textures", "negative_blank", "negative_framed"], 0.0),
    **dict.fromkeys(["jittered_crops", "neighbours", "isolated_digits", "other_hands"], 0.0),
}


@pytest.fixture(scope="module")
def own() -> Dataset:
    digits = load_font_digits("validation")
    return Dataset(np.asarray(digits.images)[:300], np.asarray(digits.labels)[:300])


def test_digits_are_sources_arrays_or_divided_already(
    own: Dataset, mnist: Mnist, tmp_path: Path
) -> None:
    custom = split_digits(own, mnist)
    np.savez(tmp_path / "own.npz", x=own.images, y=own.labels)
    path = tmp_path / "own.npz"
    for digits in (own, custom, path, str(path), [path]):
        data = choose_digits(digits, mnist, lambda _: None)
        assert data.sha256 == custom.sha256
        assert data.mnist is mnist
        assert data.description is not None
        assert sum(data.description["train"]) == len(custom.splits.train.labels)
    assert choose_digits(None, mnist, print) == TrainingData(mnist, None, MNIST_SHA256, None)
    assert choose_digits(CustomDigits(mnist, MNIST_SHA256), mnist, print) == TrainingData(mnist)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_layers_without_a_gradient_are_not_updated(optimizer: str) -> None:
    config = dataclasses.replace(SHORT, optimizer=optimizer)  # type: ignore[arg-type]
    params = digits_jax.init(jax.random.key(0))
    grads = {
        layer: jax.tree.map(jnp.zeros_like if layer.startswith("conv") else jnp.ones_like, values)
        for layer, values in params.items()
    }
    tx = make_optimizer(config)
    updates, _ = jax.jit(tx.update)(grads, tx.init(params), params)
    changed = {layer for layer in params if np.abs(updates[layer]["kernel"]).max() > 0}
    assert changed == {"dense1", "dense2"}


def test_mnist_s_share_is_drawn_from_mnist_and_0_changes_no_bit(own: Dataset, mnist: Mnist) -> None:
    def constant(grey: int) -> Dataset:
        return Dataset(np.full((7, 28, 28), grey, np.uint8), np.full(7, 3, np.uint8))

    key = jax.random.key(0)
    batch = sample_batch(
        key,
        constant(0),
        20_000,
        hands=constant(255),
        share=0.2,
        mnist=constant(51),
        mnist_share=0.5,
    )
    greys, counts = np.unique(np.asarray(batch.images[:, 0, 0, 0]), return_counts=True)
    np.testing.assert_allclose(greys, [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(counts / 20_000, [0.4, 0.4, 0.2], atol=0.02)
    plain = sample_batch(key, own, 50, hands=mnist.test, share=0.2)
    beside = sample_batch(key, own, 50, hands=mnist.test, share=0.2, mnist=mnist.test)
    assert np.array_equal(plain.images, beside.images)


def test_the_standard_error_of_few_digits_is_wide() -> None:
    assert standard_error(0.9955, None) == STANDARD_ERROR
    assert standard_error(1.0, 100) == pytest.approx(0.0135, abs=0.0002)  # one error is within
    assert standard_error(0.5, 10_000) == pytest.approx(0.005, rel=0.01)


def test_finetune_keeps_the_negatives_of_standard() -> None:
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    same = {f for f in fields if f.startswith("negative_")} | {"jittered_crops", "isolated_digits"}
    for field in same | {"neighbours"}:
        assert getattr(CONFIGS["finetune"], field) == getattr(CONFIGS["standard"], field)
    assert CONFIGS["finetune"].mnist_share > 0


def test_a_folder_of_a_run_on_other_digits_or_from_other_weights_is_refused(tmp_path: Path) -> None:
    run = RunInfo(SHORT, 1, "a" * 64, init="pretrained", init_sha256="b" * 64)
    start_run(tmp_path, run)
    assert read_run(tmp_path) == run
    start_run(tmp_path, run._replace(init="released"))  # the same weights by another name
    with pytest.raises(WorkdirError, match=r"data_sha256: a+ there, c+ now"):
        start_run(tmp_path, run._replace(data_sha256="c" * 64))
    with pytest.raises(WorkdirError, match=r"init_sha256: b+ there, None now"):
        start_run(tmp_path, run._replace(init=None, init_sha256=None))


def test_weights_that_read_few_of_the_digits_give_a_hint() -> None:
    counts = {"errors": 8, "examples": 10, "accuracy": 0.2}
    mnist = {"errors": 46, "examples": 10_000, "accuracy": 0.9954}
    assert "begin the source with emnist:" in describe_start({"digits": counts, "mnist": mnist})
    good = {**counts, "accuracy": 0.6}
    assert "emnist:" not in describe_start({"digits": good, "mnist": mnist})
    assert "emnist:" not in describe_start({"mnist": mnist})


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_a_fine_tuning_that_is_continued_ends_with_the_same_bits(
    own: Dataset, tmp_path: Path
) -> None:
    """From a weights file, the dense layers alone, with MNIST's digits beside."""
    mnist, start = first_digits(), digits_jax.init(jax.random.key(5))
    save_weights(tmp_path / "start.safetensors", start, {})
    init = tmp_path / "start.safetensors"
    config = dataclasses.replace(SHORT, steps=8, convolution_share=0.0, mnist_share=0.5)
    half = dataclasses.replace(config, steps=4)
    train(half, tmp_path / "parts", seed=1, mnist=mnist, digits=own, init=init)
    parts = train(config, tmp_path / "parts", seed=1, mnist=mnist, digits=own, init=init)
    whole = train(config, tmp_path / "whole", seed=1, mnist=mnist, digits=own, init=init)
    assert params_sha256(parts) == params_sha256(whole)
    rows = metrics_without_times(tmp_path / "parts")
    assert rows == metrics_without_times(tmp_path / "whole")
    assert all(row["mnist_test_accuracy"] is not None for row in rows)
    begun = digits_jax.load_pretrained(init)
    assert np.array_equal(whole["conv1"]["kernel"], begun["conv1"]["kernel"])
    assert not np.array_equal(whole["dense2"]["kernel"], begun["dense2"]["kernel"])

    stored = json.loads((tmp_path / "whole" / "run.json").read_text())
    custom = split_digits(own, mnist)
    assert stored["data_sha256"] == custom.sha256
    assert stored["digits"] == custom.describe()
    assert stored["init"] == str(init)
    assert stored["init_sha256"] == params_sha256(begun)
    comparison = json.loads((tmp_path / "whole" / "comparison.json").read_text())
    for when, params in (("before", begun), ("after", whole)):
        for name, splits in (("digits", custom.splits), ("mnist", mnist)):
            errors = count_errors(params, splits.test)
            assert comparison[when][name]["errors"] == errors
            assert comparison[when][name]["examples"] == len(splits.test.labels)
    with pytest.raises(WorkdirError, match="init_sha256"):
        train(config, tmp_path / "whole", seed=1, mnist=mnist, digits=own)


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_a_hundred_pictures_a_digit_of_a_leaning_hand_are_enough_to_gain(
    mnist: Mnist, tmp_path: Path
) -> None:
    """Two font families of three train, the third is read with a third fewer errors at least."""
    from experiments.studies.finetune import load_font_hands

    mnist = mnist._replace(test=Dataset(mnist.test.images[:2000], mnist.test.labels[:2000]))
    train_part, apart = load_font_hands()["fonts leaning left"]
    config = dataclasses.replace(CONFIGS["finetune"], **PLAIN, batch_size=64, steps=60)  # type: ignore[arg-type]
    before = count_errors(digits_jax.load_pretrained(), apart)
    params = train(config, tmp_path, mnist=mnist, digits=train_part, init="pretrained")
    after = count_errors(params, apart)
    assert before >= 15
    assert after <= before * 2 / 3
    comparison = json.loads((tmp_path / "comparison.json").read_text())
    forgotten = comparison["after"]["mnist"]["errors"] - comparison["before"]["mnist"]["errors"]
    assert forgotten <= 10  # of 2,000
