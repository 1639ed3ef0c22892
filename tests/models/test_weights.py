"""Weights on disk, and which modules importing the package loads."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import digits_jax
from digits_jax.models import weights
from digits_jax.models.cnn import Params
from digits_jax.models.weights import (
    WeightsError,
    load_pretrained,
    load_weights,
    read_weights_header,
    save_weights,
)

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def params() -> Params:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(digits_jax.init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.05, leaf.shape), jnp.float32), shapes
    )


@pytest.fixture
def saved(tmp_path: Path, params: Params) -> Path:
    path = tmp_path / "w.safetensors"
    save_weights(path, params, {"recipe": "standard", "test accuracy": "99.4 %"})
    return path


def rewrite_arrays(path: Path, change: Callable[[Arrays], object]) -> Path:
    """Changes the arrays of a weights file in place."""
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    safetensors.numpy.save_file(arrays, path)
    return path


def test_a_round_trip_rounds_to_float16(saved: Path, params: Params) -> None:
    loaded = load_weights(saved)
    assert {layer: set(leaves) for layer, leaves in loaded.items()} == {
        layer: {"kernel", "bias"} for layer in ("conv1", "conv2", "dense1", "dense2")
    }
    for layer, leaves in params.items():
        for name, leaf in leaves.items():
            before, after = np.asarray(leaf), np.asarray(loaded[layer][name])
            assert after.dtype == np.float32
            assert after.shape == before.shape
            # Half a unit in the last of 11 bits, or half of the smallest number.
            bound = np.maximum(np.abs(before) * 2.0**-11, 2.0**-25)
            assert (np.abs(after - before) <= bound).all()


def test_a_second_round_trip_changes_nothing(saved: Path) -> None:
    once = load_weights(saved)
    save_weights(saved, once, {})
    assert jax.tree.all(jax.tree.map(jnp.array_equal, once, load_weights(saved)))


def test_the_file_is_plain_safetensors_of_float16(saved: Path, params: Params) -> None:
    arrays = safetensors.numpy.load_file(saved)
    assert list(arrays)[:2] == ["conv1.bias", "conv1.kernel"]
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    np.testing.assert_array_equal(
        arrays["dense2.kernel"], np.asarray(params["dense2"]["kernel"]).astype(np.float16)
    )
    assert saved.stat().st_size < 2 * 3_274_634 + 2000


def test_loaded_weights_give_the_logits_of_the_saved_ones(saved: Path, params: Params) -> None:
    images = jax.random.uniform(jax.random.key(1), (2, 28, 28, 1))
    before = digits_jax.classify(params, images)
    np.testing.assert_allclose(digits_jax.classify(load_weights(saved), images), before, atol=0.05)


def test_read_weights_header_returns_the_header_that_was_saved(saved: Path, params: Params) -> None:
    assert read_weights_header(saved) == {"recipe": "standard", "test accuracy": "99.4 %"}
    save_weights(saved, params, {})
    assert read_weights_header(saved) == {}


def test_equal_weights_give_equal_bytes(tmp_path: Path, params: Params) -> None:
    header = {name: f"“{name}”" for name in "hgfedcba"}
    for name in ("a", "b"):
        save_weights(tmp_path / name, params, header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_weights_header(tmp_path / "a") == header


def test_a_failed_save_keeps_the_old_file(
    saved: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(saved, params, {})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed view": lambda array: np.ascontiguousarray(array.T).T,
    "Fortran order": np.asfortranarray,
    "strided slice": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "negative strides": lambda array: np.ascontiguousarray(array[::-1, ...])[::-1, ...],
    "float16 view": lambda array: np.asfortranarray(array.astype(np.float16)),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_arrays_in_any_memory_layout_load_back_equal(
    layout: Callable[[np.ndarray], np.ndarray], saved: Path, params: Params
) -> None:
    """Safetensors alone writes memory as it lies, such as PyTorch's kernels after `.T`."""
    views: Any = jax.tree.map(lambda leaf: layout(np.asarray(leaf)), params)
    assert not views["dense1"]["kernel"].flags.c_contiguous
    expected = saved.read_bytes()
    save_weights(saved, views, read_weights_header(saved))
    assert saved.read_bytes() == expected


def test_parameters_of_another_network_are_not_saved(tmp_path: Path, params: Params) -> None:
    with pytest.raises(WeightsError, match=r"conv2\.kernel is missing"):
        save_weights(tmp_path / "w", {**params, "conv2": {}}, {})
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, 7e4])
def test_parameters_not_finite_in_float16_are_not_saved(
    tmp_path: Path, params: Params, value: float
) -> None:
    dense2 = {**params["dense2"], "bias": params["dense2"]["bias"].at[3].set(value)}
    with pytest.raises(WeightsError, match=r"dense2\.bias is not finite.*65504"):
        save_weights(tmp_path / "w", {**params, "dense2": dense2}, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("conv1.bias"), r"conv1\.bias is missing\. Expected conv1\."),
        (
            lambda arrays: arrays.update({"dense3.bias": np.zeros(1, np.float16)}),
            r"dense3\.bias is not the network's",
        ),
        (
            lambda arrays: arrays.update({"dense2.bias": np.zeros(11, np.float16)}),
            r"dense2\.bias is \[11\] where the network's is \[10\]",
        ),
        (
            lambda arrays: arrays.update({"conv2.bias": np.zeros(64, np.float32)}),
            r"conv2\.bias is F32\. Expected F16",
        ),
        (
            lambda arrays: arrays.update({"conv2.bias": np.full(64, np.nan, np.float16)}),
            r"conv2\.bias is not finite",
        ),
    ],
)
def test_weights_of_another_network_are_refused_with_the_difference(
    saved: Path, change: Callable[[Arrays], object], message: str
) -> None:
    with pytest.raises(WeightsError, match=message) as raised:
        load_weights(rewrite_arrays(saved, change))
    assert str(raised.value).startswith(f"{saved}: ")
    assert "save_weights" in str(raised.value)


@pytest.mark.parametrize("read", [load_weights, read_weights_header])
def test_unreadable_files_are_refused_with_the_reason(
    saved: Path, read: Callable[[Path], object], tmp_path: Path
) -> None:
    whole = saved.read_bytes()
    for damaged in (b"", b"not weights", whole[:100], whole[:-1], b"\xff" * 16 + whole[16:]):
        saved.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"w\.safetensors cannot be read as weights: .*get"):
            read(saved)
    with pytest.raises(WeightsError, match=r"none cannot be read .*it does not exist"):
        read(tmp_path / "none")
    with pytest.raises(WeightsError, match=r"cannot be read .*it is a folder"):
        read(tmp_path)


def test_load_pretrained_reads_the_file_in_the_package(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PRETRAINED", str(saved))
    for loaded in (load_pretrained(), digits_jax.load_pretrained()):
        assert jax.tree.all(jax.tree.map(jnp.array_equal, loaded, load_weights(saved)))


def test_load_pretrained_reads_another_file_if_a_path_is_given(saved: Path) -> None:
    loaded = load_pretrained(saved)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, loaded, load_weights(saved)))


def test_the_package_s_own_weights_load() -> None:
    package = Path(weights.__file__).parent / "pretrained.safetensors"
    arrays = safetensors.numpy.load_file(package)
    for layer, leaves in load_pretrained().items():
        for name, leaf in leaves.items():
            np.testing.assert_array_equal(leaf, arrays.pop(f"{layer}.{name}").astype(np.float32))
    assert not arrays


def test_load_pretrained_without_the_file_names_the_commands_that_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "PRETRAINED", "none.safetensors")
    with pytest.raises(
        WeightsError, match=r"digits_jax.models.none\.safetensors.*make train.*save_weigh"
    ):
        load_pretrained()


def test_importing_the_package_and_its_weights_is_light() -> None:
    """Training, plotting, images and datasets are imported when they are first used."""
    heavy = {"orbax", "matplotlib", "tensorflow_datasets", "PIL", "tyro", "optax"}
    script = f"""if True:
        import sys, digits_jax
        loaded = {heavy} & {{name.partition(".")[0] for name in sys.modules}}
        print(loaded, "digits_jax.train.checkpoints" in sys.modules)
        from digits_jax import load_checkpoint
        import digits_jax.train.checkpoints
        print(load_checkpoint is digits_jax.train.checkpoints.load_checkpoint)
        print(callable(digits_jax.load_checkpoint), hasattr(digits_jax, "nothing"))"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert printed.stdout == "set() False\nTrue\nTrue False\n", printed.stderr
