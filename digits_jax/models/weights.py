"""Reads and writes trained parameters as safetensors: float16 on disk, float32 in memory."""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Array, Float, Float16
from safetensors import SafetensorError, safe_open

from digits_jax.models.cnn import Params, init
from digits_jax.runtime.errors import DigitsJaxError, first_line
from digits_jax.runtime.files import atomic_write

PRETRAINED = "pretrained.safetensors"  # file in this package
REMEDY = (
    "digits_jax.models.weights.save_weights writes such a file from a trained network's parameters"
)


class WeightsError(DigitsJaxError):
    """Weights are unreadable or belong to another network; the message says what to do."""


def save_weights(
    path: str | Path,
    params: Mapping[str, Mapping[str, Float[Array | np.ndarray, "..."]]],
    header: Mapping[str, str],
) -> None:
    """Writes parameters as float16 in one atomic step; equal arguments give equal bytes.

    Args:
      path: the file to write; its folder must exist.
      params: as `init` or `load_checkpoint` return them: JAX or NumPy arrays in any memory layout.
      header: facts about the parameters, such as their origin; `read_weights_header` reads them.

    Raises:
      WeightsError: the parameters are not the network's, or not finite in float16.
    """
    flat = {
        f"{layer}.{name}": array
        for layer, arrays in params.items()
        for name, array in arrays.items()
    }
    _check_shapes({name: array.shape for name, array in flat.items()}, "the parameters to save")
    with np.errstate(over="ignore"):  # _check_finite reports it
        # Safetensors writes memory as it lies, so that views must become contiguous first.
        half = {
            name: np.asarray(array).astype(np.float16, order="C") for name, array in flat.items()
        }
    _check_finite(half, "the parameters to save")
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(_sort_header(safetensors.numpy.save(half, dict(header))))


def _sort_header(file: bytes) -> bytes:
    """Sorts the header's keys, whose order safetensors leaves to chance."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that the arrays stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def load_weights(path: str | Path) -> Params:
    """Reads the parameters that `save_weights` wrote.

    Args:
      path: the weights file.

    Returns:
      The parameters as float32, on the default device.

    Raises:
      WeightsError: the file is missing, damaged, or belongs to another network.
    """
    flat = _read_arrays(Path(path))
    _check_finite(flat, str(path))
    params: Params = {}
    for name, array in flat.items():
        layer, leaf = name.split(".")
        params.setdefault(layer, {})[leaf] = jnp.asarray(array.astype(np.float32))
    return params


def read_weights_header(path: str | Path) -> dict[str, str]:
    """Returns the header of a weights file, as it was given to `save_weights`.

    Args:
      path: the weights file.

    Raises:
      WeightsError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _unreadable_error(Path(path), error) from error


def load_pretrained(path: str | Path | None = None) -> Params:
    """Returns the trained parameters that come with the package.

    Args:
      path: another weights file to read instead, as `save_weights` writes them.

    Returns:
      The parameters as float32, on the default device.

    Raises:
      WeightsError: this copy of the package has no weights, or the file is missing, damaged, or
        belongs to another network.
    """
    if path is not None:
        return load_weights(path)
    file = resources.files("digits_jax.models") / PRETRAINED
    if not file.is_file():
        raise WeightsError(
            f"this copy of digits_jax comes without trained weights: expected {file}. Train "
            "with `make train` and use digits_jax.load_checkpoint('runs/standard'), or write the "
            f"file with digits_jax.models.weights.save_weights('{file}', params, {{}})"
        )
    with resources.as_file(file) as on_disk:
        return load_weights(on_disk)


def _read_arrays(path: Path) -> dict[str, Float16[np.ndarray, "..."]]:
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            dtypes = {name: part.get_dtype() for name, part in slices.items()}
            wrong = [f"{name} is {dtype}" for name, dtype in dtypes.items() if dtype != "F16"]
            if wrong:
                raise WeightsError(_mismatch_message(str(path), wrong, "F16 everywhere"))
            # Before anything is read: a file may declare any size.
            _check_shapes({n: tuple(part.get_shape()) for n, part in slices.items()}, str(path))
            return {name: file.get_tensor(name) for name in slices}
    except (OSError, SafetensorError) as error:
        raise _unreadable_error(path, error) from error


def _unreadable_error(path: Path, error: Exception) -> WeightsError:
    if path.is_dir():
        reason = "it is a folder"  # the system would say "No such device"
    elif not path.exists():
        reason = "it does not exist"
    else:
        reason = first_line(error)
    return WeightsError(
        f"{path} cannot be read as weights: expected a safetensors file, but {reason}. Check the "
        f"path or get the file again; {REMEDY}"
    )


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    network = jax.eval_shape(lambda: init(jax.random.key(0)))
    expected = {
        f"{layer}.{name}": array.shape
        for layer, arrays in network.items()
        for name, array in arrays.items()
    }
    missing = [f"{name} is missing" for name in expected if name not in shapes]
    unknown = [f"{name} is not the network's" for name in shapes if name not in expected]
    wrong = [
        f"{name} is {list(shapes[name])} where the network's is {list(shape)}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    if missing or unknown or wrong:
        problems = [*missing, *unknown, *wrong]
        raise WeightsError(_mismatch_message(source, problems, ", ".join(expected)))


def _check_finite(arrays: Mapping[str, Float16[np.ndarray, "..."]], source: str) -> None:
    problems = [
        f"{name} is not finite" for name, array in arrays.items() if not np.isfinite(array).all()
    ]
    if problems:
        raise WeightsError(_mismatch_message(source, problems, "finite numbers of at most 65504"))


def _mismatch_message(source: str, problems: Iterable[str], expected: str) -> str:
    return f"{source}: {'; '.join(problems)}. Expected {expected}; {REMEDY}"
