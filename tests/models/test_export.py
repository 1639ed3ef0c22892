"""The files of `digits-jax export`, read by the tools that they are for."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jaxtyping import Float32

import digits_jax
from digits_jax.cli.main import main
from digits_jax.data.mnist import Mnist
from digits_jax.models.cnn import init
from digits_jax.models.fcn.response_maps import patch_maps
from digits_jax.models.fcn.tiling import CPU_TILE_WINDOWS, map_size
from digits_jax.models.weights import load_weights, save_weights

# One window high; and odd sides with more windows than a tile has, which it does not divide.
SHAPES = [(3, 28, 31), (2, 157, 161)]
assert [map_size(side) for side in SHAPES[1][1:]] == [CPU_TILE_WINDOWS + 1, CPU_TILE_WINDOWS + 3]

READER = """if True:
    import sys
    sys.modules["digits_jax"] = None  # importing it fails
    import jax
    import numpy as np
    from jax import export
    with open("digits.jax", "rb") as file:
        program = export.deserialize(bytearray(file.read()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    call = jax.jit(program.call)
    images = np.load("images.npz")
    np.savez("maps.npz", **{
        f"{name} {field}": array
        for name in images for field, array in call(images[name]).items()
    })
    shapes = (1, 27, 40, 1), (1, 40, 5, 1), (0, 40, 40, 1), (1, 40, 40, 2), (1, 40, 40)
    for refused in ((1, 28, 28, 1), np.uint8), *((shape, np.float32) for shape in shapes):
        try:
            call(np.zeros(*refused))
        except ValueError:
            pass
        else:
            raise AssertionError(refused)
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Untrained weights with biases, so that the padding at a window's edge makes a difference."""
    keys = jax.random.split(jax.random.key(1), 4)
    params = {
        layer: {
            "kernel": leaves["kernel"],
            "bias": 0.3 * jax.random.normal(key, leaves["bias"].shape),
        }
        for key, (layer, leaves) in zip(keys, init(jax.random.key(0)).items(), strict=True)
    }
    path = tmp_path / "w.safetensors"
    save_weights(path, params, {})
    return path


def digits_on_black(mnist: Mnist, shape: tuple[int, ...]) -> Float32[np.ndarray, "n H W 1"]:
    """Returns images with one test digit at the top left and one at the bottom right."""
    images = np.zeros(shape, np.float32)
    digits = iter(mnist.test.images.reshape(-1, 28, 28))
    for image in images:
        image[:28, :28] = next(digits)
        image[-28:, -28:] = next(digits)
    return images[..., None] / np.float32(255)


def assert_same(array: np.ndarray, expected: np.ndarray | jax.Array) -> None:
    """Compares to 1e-4 · max(1, the largest)."""
    expected = np.asarray(expected)
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(
        array, expected, rtol=0, atol=1e-4 * max(1.0, np.abs(expected).max())
    )


@pytest.mark.slow
def test_jax_alone_runs_the_exported_maps(tmp_path: Path, weights: Path, mnist: Mnist) -> None:
    file = tmp_path / "digits.jax"
    main(["export", "--output", str(file), "--weights", str(weights)])
    images = {f"{shape}": digits_on_black(mnist, shape) for shape in SHAPES}
    np.savez(tmp_path / "images.npz", **images)  # type: ignore[arg-type]
    subprocess.run(
        [sys.executable, "-I", "-c", READER],
        cwd=tmp_path,
        env={**os.environ, "XLA_FLAGS": ""},
        check=True,
    )
    maps = np.load(tmp_path / "maps.npz")
    params = load_weights(weights)
    for name, batch in images.items():
        expected = jax.jit(patch_maps)(params, jnp.asarray(batch))
        for field in expected._fields:
            assert_same(maps[f"{name} {field}"], getattr(expected, field))
    # GPU and TPU would round the factors of dots by default.
    module = export.deserialize(bytearray(file.read_bytes())).mlir_module()
    dots = module.count("stablehlo.dot_general")
    assert module.count("precision = [HIGHEST, HIGHEST]") == dots > 0
    # The file names no folder of this machine.
    for folder in (Path(digits_jax.__file__).parent, Path(sys.prefix)):
        assert str(folder).encode() not in file.read_bytes()


def test_onnx_runtime_classifies_with_the_exported_model(
    tmp_path: Path, weights: Path, mnist: Mnist
) -> None:
    import onnx
    import onnxruntime

    file = tmp_path / "digits.onnx"
    main(["export", "--output", str(file), "--weights", str(weights)])
    onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(file)
    ((name, shape),) = [(array.name, array.shape) for array in session.get_inputs()]
    assert (name, shape) == ("images", ["n", 28, 28, 1])
    for n in (1, 5):
        images = mnist.test.images[:n].reshape(n, 28, 28, 1) / np.float32(255)
        (logits,) = session.run(["logits"], {"images": images})
        assert_same(logits, digits_jax.classify(load_weights(weights), jnp.asarray(images)))


@pytest.mark.parametrize("name", ["digits", "digits.pt", "digits.onnx.gz", ".onnx"])
def test_other_suffixes_are_refused_before_anything_is_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    with pytest.raises(SystemExit) as exit_:
        main(["export", "--output", str(folder / name), "--weights", str(tmp_path / "none")])
    assert exit_.value.code == 1
    stderr = capsys.readouterr().err
    assert "expected --output to end in .jax" in stderr
    assert name in stderr
    assert not folder.exists()


def test_a_missing_onnx_package_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SystemExit) as exit_:
        main(["export", "--output", str(tmp_path / "digits.onnx"), "--weights", "none"])
    assert exit_.value.code == 1
    stderr = capsys.readouterr().err
    assert "pip install onnx" in stderr
    assert stderr.count("\n") == 1


def test_a_failed_export_keeps_the_old_file(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits.onnx"
    file.write_bytes(b"before")

    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(SystemExit):
        main(["export", "--output", str(file), "--weights", str(weights)])
    assert file.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.onnx", "w.safetensors"]
