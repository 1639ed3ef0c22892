"""Work folders: what a run is (`run.json`) and how it went (`metrics.jsonl`)."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from digits_jax.runtime.errors import DigitsJaxError
from digits_jax.train.config import TrainConfig


class WorkdirError(DigitsJaxError):
    """A work folder that cannot be used as asked; the message says why and what to do."""


class RunInfo(NamedTuple):
    """What makes a run the run it is; stored as `run.json`."""

    recipe: TrainConfig
    seed: int
    data_sha256: str


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def read_run(workdir: Path) -> RunInfo:
    """Reads what the work folder was begun with.

    Raises:
      WorkdirError: the folder holds no run, or its `run.json` cannot be read.
    """
    path = workdir / "run.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return RunInfo(TrainConfig(**stored["recipe"]), stored["seed"], stored["data_sha256"])
    except FileNotFoundError:
        message = f"{workdir} holds no training run: there is no {path.name} in it"
        raise WorkdirError(message) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkdirError(f"{path} cannot be read as a run's description: {error}") from error


def start_run(workdir: Path, run: RunInfo) -> None:
    """Marks the folder as this run's, or makes sure that it already is.

    More steps than it was begun with are a longer run of the same recipe, and are recorded.

    Raises:
      WorkdirError: the folder was begun with another recipe or seed, or is not a folder.
    """
    path = workdir / "run.json"
    if path.exists():
        begun = read_run(workdir)
        old, new = _flat(begun), _flat(run)
        different = [name for name in new if old[name] != new[name]]
        if different == ["steps"] and new["steps"] > old["steps"]:
            different = []
        if different:
            lines = [f"  {name}: {old[name]} there, {new[name]} now" for name in different]
            raise WorkdirError(
                f"{workdir} was begun differently:\n" + "\n".join(lines) + "\n"
                "Continue it with what it was begun with (only --steps may grow), "
                "or name another --workdir."
            )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**run._asdict(), "recipe": dataclasses.asdict(run.recipe)}, indent=2)
        write_atomically(path, text + "\n")
    except OSError as error:
        raise WorkdirError(f"cannot write to the work folder {workdir}: {error}") from error


def _flat(run: RunInfo) -> dict[str, Any]:
    return {**dataclasses.asdict(run.recipe), "seed": run.seed, "data_sha256": run.data_sha256}


class Evaluation(NamedTuple):
    """One line of `metrics.jsonl`. Accuracies are shares, 0–1."""

    step: int
    train_loss: float  # means over the shifted training digits since the last evaluation
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float  # drawn, never acted on
    images_per_second: float
    seconds: float  # of the run so far


class MetricsLog:
    """`metrics.jsonl`: one JSON object per evaluation."""

    def __init__(self, workdir: Path, *, until_step: int):
        """Opens the record and drops what a killed run wrote after its last checkpoint."""
        self._path = workdir / "metrics.jsonl"
        kept = [row for row in read_metrics(self._path) if row.step <= until_step]
        write_atomically(self._path, "".join(_line(row) for row in kept))

    def append(self, row: Evaluation) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())


def _line(row: Evaluation) -> str:
    return json.dumps(row._asdict()) + "\n"


def read_metrics(path: Path) -> list[Evaluation]:
    """Reads a record, but for a last line that was cut off in the writing."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(Evaluation(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return rows
