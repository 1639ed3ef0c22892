"""What `digits-jax export` writes, as the tools see it that it is for."""

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
from digits_jax.models.fcn.tiling import TILE_ON_CPU, map_size
from digits_jax.models.weights import load_weights, save_weights

# One window high; and odd, of more windows than a tile has, which do not share out evenly.
SHAPES = [(3, 28, 31), (2, 157, 161)]
assert [map_size(side) for side in SHAPES[1][1:]] == [TILE_ON_CPU + 1, TILE_ON_CPU + 3]

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
    """Untrained, with biases, on which what is beyond a window's edge depends."""
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
    """Test digits side by side, the first at the top left and the last at the bottom right."""
    images = np.zeros(shape, np.float32)
    digits = iter(mnist.test.images.reshape(-1, 28, 28))
    for image in images:
        image[:28, :28] = next(digits)
        image[-28:, -28:] = next(digits)
    return images[..., None] / np.float32(255)


def assert_same(mine: np.ndarray, expected: np.ndarray | jax.Array) -> None:
    """To 1e-4 · max(1, the largest)."""
    expected = np.asarray(expected)
    assert (mine.shape, mine.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-4 * max(1.0, np.abs(expected).max()))


def test_jax_alone_runs_the_maps(tmp_path: Path, weights: Path, mnist: Mnist) -> None:
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
    for name, of_shape in images.items():
        expected = jax.jit(patch_maps)(params, jnp.asarray(of_shape))
        for field in expected._fields:
            assert_same(maps[f"{name} {field}"], getattr(expected, field))
    # Elsewhere than on CPU, factors of products are rounded unless told otherwise.
    module = export.deserialize(bytearray(file.read_bytes())).mlir_module()
    products = module.count("stablehlo.dot_general")
    assert module.count("precision = [HIGHEST, HIGHEST]") == products > 0
    # Nobody learns where it was written.
    for folder in (Path(digits_jax.__file__).parent, Path(sys.prefix)):
        assert str(folder).encode() not in file.read_bytes()


def test_onnx_runtime_classifies(tmp_path: Path, weights: Path, mnist: Mnist) -> None:
    import onnx
    import onnxruntime

    file = tmp_path / "digits.onnx"
    main(["export", "--output", str(file), "--weights", str(weights)])
    onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(file)
    ((name, shape),) = [(of.name, of.shape) for of in session.get_inputs()]
    assert (name, shape) == ("images", ["n", 28, 28, 1])
    for n in (1, 5):
        images = mnist.test.images[:n].reshape(n, 28, 28, 1) / np.float32(255)
        (logits,) = session.run(["logits"], {"images": images})
        assert_same(logits, digits_jax.classify(load_weights(weights), jnp.asarray(images)))


@pytest.mark.parametrize("name", ["digits", "digits.pt", "digits.onnx.gz", ".onnx"])
def test_other_endings_are_refused_before_anything_is_done(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    with pytest.raises(SystemExit) as exit_:
        main(["export", "--output", str(folder / name), "--weights", str(tmp_path / "none")])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert "expected --output to end in .jax" in said
    assert name in said
    assert not folder.exists()


def test_without_onnx_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SystemExit) as exit_:
        main(["export", "--output", str(tmp_path / "digits.onnx"), "--weights", "none"])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert "pip install onnx" in said
    assert said.count("\n") == 1


def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits.onnx"
    file.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SystemExit):
        main(["export", "--output", str(file), "--weights", str(weights)])
    assert file.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.onnx", "w.safetensors"]
