"""Work folders: the description of a run (`run.json`) and its metrics (`metrics.jsonl`)."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.runtime.files import write_text_atomically
from digits_jax.train.config import TrainConfig
from digits_jax.train.former_names import from_former_names, to_former_names
from digits_jax.train.negatives.draw import PACKAGES


class WorkdirError(DigitsJaxError):
    """A work folder cannot be used for this run; the message says why and what to do."""


class RunInfo(NamedTuple):
    """Everything that determines a run; stored as `run.json`."""

    config: TrainConfig
    seed: int
    data_sha256: str
    # The hash of the negative pictures. None if the configuration composes no windows, or if the
    # hash is not known yet.
    negatives_sha256: str | None = None
    # The hash of the digits in other hands, or None likewise.
    other_hands_sha256: str | None = None
    # The digits that are trained on, if they are not MNIST's: sources and counts.
    digits: dict[str, Any] | None = None
    # The weights that the run started from, as they were named, and their hash.
    init: str | None = None
    init_sha256: str | None = None


@contextmanager
def lock_workdir(workdir: Path) -> Iterator[None]:
    """Keeps other runs out of a work folder for a `with` block.

    The lock is the system's, on the file `.lock`, and ends with the process, however it ends. Some
    network disks have no locks. There filelock leaves a marker, which a killed run does not remove.

    Args:
      workdir: the work folder, which need not exist yet.

    Raises:
      WorkdirError: another run is using the folder, or it cannot be written.
    """
    lock = FileLock(workdir / ".lock", timeout=0)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise WorkdirError(
            f"another run is training in {workdir}: wait for its end, or name another --workdir. "
            f"If none is, delete {workdir / '.lock'}"
        ) from None
    except OSError as error:
        raise WorkdirError(f"cannot write to the work folder {workdir}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def read_run(workdir: Path) -> RunInfo:
    """Reads the description of the run to which a work folder belongs.

    Args:
      workdir: the work folder.

    Raises:
      WorkdirError: the folder holds no run, or its `run.json` cannot be read.
    """
    path = _run_path(workdir)
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise WorkdirError(
            f"{workdir} holds no training run: there is no {path.name} in it; name a folder that "
            "`digits-jax train` has written"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkdirError(f"{path} cannot be read as a run's description: {error}") from error


def count_own_validation_digits(workdir: Path) -> int | None:
    """Returns how many digits of its own a run is validated on; None if these are MNIST's.

    Args:
      workdir: the work folder. If it holds no run yet, the result is None.
    """
    if not _run_path(workdir).exists():
        return None
    digits = read_run(workdir).digits
    return None if digits is None else sum(digits["validation"])


def start_run(workdir: Path, run: RunInfo) -> None:
    """Creates the work folder of a run, or checks that it already belongs to this run.

    The configuration may have more steps than the folder's: that is a longer run of the same kind.
    If pictures are drawn for the configuration, an existing `run.json` is left as it is: the
    pictures must be checked first, which `record_pictures` does.

    Args:
      workdir: the work folder.
      run: the run to begin or to continue.

    Raises:
      WorkdirError: the folder belongs to a run with another configuration, seed or initial
        weights, or on other digits, or it is not a folder.
    """
    exists = _run_path(workdir).exists()
    if exists:
        _check_same_run(workdir, run)
    if not (exists and (run.config.composes or run.config.other_hands)):
        _write_run(workdir, run)


def record_pictures(workdir: Path, run: RunInfo) -> None:
    """Writes the run to `run.json` with the hashes of the pictures that were drawn for it.

    Args:
      workdir: the work folder of the run.
      run: the run, with the hashes.

    Raises:
      WorkdirError: the run was begun with other pictures; the folder is left as it is.
    """
    begun = read_run(workdir)
    different = [
        f"  {name}: {getattr(begun, name)} there, {getattr(run, name)} now\n"
        for name in ("negatives_sha256", "other_hands_sha256")
        if getattr(begun, name) not in (None, getattr(run, name))
    ]
    if different:
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        kind = "negative pictures" if "negatives" in different[0] else "digits in other hands"
        raise WorkdirError(
            f"{workdir} was begun with other {kind}:\n"
            + "".join(different)
            + "They are drawn with fonts, photographs and functions of other packages, here "
            f"{packages}, whose versions change them. Continue the run with the versions with "
            "which it was begun, or name another --workdir."
        )
    _write_run(workdir, run)


def _check_same_run(workdir: Path, run: RunInfo) -> None:
    old, new = _determining_fields(read_run(workdir)), _determining_fields(run)
    different = [name for name in new if old[name] != new[name]]
    if different == ["steps"] and new["steps"] > old["steps"]:
        return
    if different:
        lines = [f"  {name}: {old[name]} there, {new[name]} now" for name in different]
        raise WorkdirError(
            f"{workdir} was begun differently:\n" + "\n".join(lines) + "\n"
            "Continue it with the settings with which it was begun (only --steps may grow), "
            "or name another --workdir."
        )


def _determining_fields(run: RunInfo) -> dict[str, Any]:
    names = ("seed", "data_sha256", "init_sha256")
    return {**dataclasses.asdict(run.config), **{name: getattr(run, name) for name in names}}


def _write_run(workdir: Path, run: RunInfo) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text_atomically(_run_path(workdir), json.dumps(_to_json(run), indent=2) + "\n")
    except OSError as error:
        raise WorkdirError(f"cannot write to the work folder {workdir}: {error}") from error


def _to_json(run: RunInfo) -> dict[str, Any]:
    # "recipe" is what version 0.1 reads; it goes after one release.
    configs = {"config": dataclasses.asdict(run.config), "recipe": to_former_names(run.config)}
    return {**configs, **{k: v for k, v in run._asdict().items() if k != "config"}}


def _from_json(stored: Mapping[str, Any]) -> RunInfo:
    if "config" in stored:
        config = TrainConfig(**stored["config"])
    else:
        config = from_former_names(stored["recipe"])
    optional = {name: stored.get(name) for name in RunInfo._field_defaults}
    return RunInfo(config, stored["seed"], stored["data_sha256"], **optional)


def _run_path(workdir: Path) -> Path:
    return workdir / "run.json"


class Evaluation(NamedTuple):
    """One line of `metrics.jsonl`. Accuracies are shares, 0–1."""

    step: int
    train_loss: float  # mean over the augmented digits since the last evaluation
    train_accuracy: float  # likewise
    validation_accuracy: float | None  # None if the run trains on these digits
    # Plotted; nothing is chosen by it. None if the run trains on the validation digits and is not
    # at its end.
    test_accuracy: float | None
    images_per_second: float
    seconds: float  # since the run began, without interruptions
    # On MNIST's test digits, if the run trains on others; None otherwise, and where the test
    # accuracy is None.
    mnist_test_accuracy: float | None = None


class MetricsLog:
    """Writes `metrics.jsonl`: one JSON object per evaluation.

    Args:
      workdir: the work folder of the run.
      until_step: the step of the last checkpoint. Evaluations after it, which a killed run has
        left, are removed from the file.
    """

    def __init__(self, workdir: Path, *, until_step: int):
        self._path = workdir / "metrics.jsonl"
        rows = [row for row in read_metrics(self._path) if row.step <= until_step]
        write_text_atomically(self._path, "".join(_to_line(row) for row in rows))

    def append(self, row: Evaluation) -> None:
        """Appends an evaluation and makes sure that it is on the disk.

        Raises:
          WorkdirError: it could not be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_to_line(row))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WorkdirError(
                f"{self._path} cannot be written: {error}. The checkpoints are as they were: make "
                "room, and continue the run with the same command"
            ) from error


def _to_line(row: Evaluation) -> str:
    return json.dumps(row._asdict()) + "\n"


def read_metrics(path: Path) -> list[Evaluation]:
    """Reads `metrics.jsonl` up to the first incomplete line, such as a killed run may leave.

    Args:
      path: the file. If it does not exist, the list is empty.
    """
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(Evaluation(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return rows
