"""Trained parameters in one small file: safetensors, with float16 on disk and float32 in memory."""

import json
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Float16
from safetensors import SafetensorError, safe_open

from digits_jax.models.cnn import Params, init
from digits_jax.runtime.errors import DigitsJaxError

PRETRAINED = "pretrained.safetensors"  # in the package
REMEDY = (
    "digits_jax.models.weights.save_weights writes such a file from a trained network's parameters"
)


class WeightsError(DigitsJaxError):
    """Weights that are not the network's, or cannot be read; the message says what to do."""


def save_weights(path: str | Path, params: Params, header: Mapping[str, str]) -> None:
    """Writes parameters as float16, whole or not at all: the same bytes for the same arguments.

    Args:
      path: the file to write; its folder exists.
      params: as `init` or `load_checkpoint` return them.
      header: what to say of them, such as where they come from; `read_weights_header` reads it.

    Raises:
      WeightsError: the parameters are not the network's, or not finite in float16.
    """
    path = Path(path)
    flat = {f"{layer}.{name}": leaf for layer, of in params.items() for name, leaf in of.items()}
    _require_same({name: leaf.shape for name, leaf in flat.items()}, "the parameters to save")
    with np.errstate(over="ignore"):  # refused below
        half = {name: np.asarray(leaf).astype(np.float16) for name, leaf in flat.items()}
    _require_finite(half, "the parameters to save")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_in_order(safetensors.numpy.save(half, dict(header))))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _in_order(file: bytes) -> bytes:
    """The same file with sorted header: safetensors shuffles what `save` is told about it."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that the arrays stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def load_weights(path: str | Path) -> Params:
    """Reads parameters that `save_weights` wrote.

    Returns:
      The parameters as float32, on the default device.

    Raises:
      WeightsError: there is no such file, it is damaged, or it is of another network.
    """
    flat = _read(Path(path))
    _require_same({name: array.shape for name, array in flat.items()}, str(path))
    _require_finite(flat, str(path))
    params: Params = {}
    for name, array in flat.items():
        layer, leaf = name.split(".")
        params.setdefault(layer, {})[leaf] = jnp.asarray(array.astype(np.float32))
    return params


def read_weights_header(path: str | Path) -> dict[str, str]:
    """What `save_weights` was told to say of the parameters.

    Raises:
      WeightsError: there is no such file, or it is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _unreadable(Path(path), error) from error


def load_pretrained() -> Params:
    """The parameters that come with the package.

    Returns:
      The parameters as float32, on the default device.

    Raises:
      WeightsError: this copy of the package has none, or they are damaged.
    """
    released = resources.files("digits_jax.models") / PRETRAINED
    if not released.is_file():
        raise WeightsError(
            f"this copy of digits_jax comes without trained weights: expected {released}. Train "
            "with `make train` and use digits_jax.load_checkpoint('runs/standard'), or write the "
            f"file with digits_jax.models.weights.save_weights('{released}', params, {{}})"
        )
    with resources.as_file(released) as path:
        return load_weights(path)


def _read(path: Path) -> dict[str, Float16[np.ndarray, "..."]]:
    try:
        with safe_open(path, framework="numpy") as file:
            stored = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            others = [f"{name} is {dtype}" for name, dtype in stored.items() if dtype != "F16"]
            if others:
                raise WeightsError(_differs(str(path), others, "F16 everywhere"))
            return {name: file.get_tensor(name) for name in stored}
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WeightsError:
    if path.is_dir():
        reason = "it is a folder"  # the system would say "No such device"
    elif not path.exists():
        reason = "it does not exist"
    else:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
    return WeightsError(
        f"{path} cannot be read as weights: expected a safetensors file, but {reason}. Check the "
        f"path or get the file again; {REMEDY}"
    )


def _require_same(shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    network = jax.eval_shape(lambda: init(jax.random.key(0)))
    expected = {f"{of}.{name}": leaf.shape for of in network for name, leaf in network[of].items()}
    missing = [f"{name} is missing" for name in expected if name not in shapes]
    unknown = [f"{name} is not the network's" for name in shapes if name not in expected]
    other = [
        f"{name} is {list(shapes[name])} where the network's is {list(shape)}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    if missing or unknown or other:
        raise WeightsError(_differs(what, [*missing, *unknown, *other], ", ".join(expected)))


def _require_finite(arrays: Mapping[str, Float16[np.ndarray, "..."]], what: str) -> None:
    broken = [f"{name} is not finite" for name, array in arrays.items() if not _finite(array)]
    if broken:
        raise WeightsError(_differs(what, broken, "finite numbers of at most 65504"))


def _finite(array: Float16[np.ndarray, "..."]) -> bool:
    return bool(np.isfinite(array).all())


def _differs(what: str, differences: Iterable[str], expected: str) -> str:
    return f"{what}: {'; '.join(differences)}. Expected {expected}; {REMEDY}"
