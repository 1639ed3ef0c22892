"""Checkpoints: which are kept, which is the best, and what happens to damaged ones."""

import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from short_run import SHORT, first_digits
from training_runs import STEPS, contents, final_state, same_arrays

import digits_jax
from digits_jax.images.pixels import uint8_to_float
from digits_jax.train.checkpoints import load_best, open_checkpoints
from digits_jax.train.running_metrics import RunningMetrics
from digits_jax.train.step import TrainState, initial_state
from digits_jax.train.workdir import WorkdirError, read_metrics


def test_a_run_keeps_the_newest_three_checkpoints_and_the_best(uninterrupted: Path) -> None:
    rows = read_metrics(uninterrupted / "metrics.jsonl")
    best = max(rows, key=lambda row: (row.validation_accuracy or 0.0, row.step))
    with open_checkpoints(uninterrupted, read_only=True) as checkpoints:
        assert set(checkpoints.steps()) == {16, 20, 24} | {best.step}
    assert load_best(uninterrupted)[0] == best.step


def save_each(workdir: Path, accuracies: list[float | None]) -> tuple[list[list[int]], list[int]]:
    """Saves a checkpoint of each validation accuracy.

    Returns:
      The steps that are kept after each save, and the best step after each.
    """
    state = initial_state(SHORT, jax.random.key(0))
    kept, best = [], []
    with open_checkpoints(workdir) as checkpoints:
        for step, accuracy in enumerate(accuracies):
            state = state._replace(step=jax.numpy.int32(step))
            checkpoints.save(state, RunningMetrics(), accuracy)
            kept.append(checkpoints.steps())
            best.append(checkpoints.best_step(checkpoints.steps()))
    return kept, best


def test_the_best_checkpoint_is_kept_when_newer_ones_are_worse(tmp_path: Path) -> None:
    kept, _ = save_each(tmp_path, [0.5, 0.9, 0.7, None, 0.6, 0.9, 0.8, 0.8, 0.8, 0.8])
    assert kept[4] == [1, 2, 3, 4]
    assert kept[5] == [3, 4, 5]  # the later of equals
    assert kept[9] == [5, 7, 8, 9]


def test_the_latest_within_a_standard_error_of_the_best_is_the_best(tmp_path: Path) -> None:
    """That is up to seven of 10,000 digits."""
    kept, best = save_each(tmp_path, [0.9950, 0.9940, 0.9943, 0.9937, 0.9936, 0.9935])
    assert best == [0, 0, 2, 2, 2, 2]
    assert kept[1] == [0, 1]
    assert kept[5] == [2, 3, 4, 5]


def test_load_checkpoint_returns_parameters_with_the_run_s_best_accuracy(
    uninterrupted: Path,
) -> None:
    params = digits_jax.load_checkpoint(uninterrupted)
    validation = first_digits().validation
    images = uint8_to_float(np.asarray(validation.images[..., None]))
    logits = np.asarray(digits_jax.classify(params, jax.numpy.asarray(images)))
    predicted = np.argmax(logits, axis=-1)
    rows = read_metrics(uninterrupted / "metrics.jsonl")
    accuracy = float(np.mean(predicted == validation.labels))
    assert accuracy == max(row.validation_accuracy or 0.0 for row in rows)


def restore_newest(workdir: Path, messages: list[str]) -> TrainState:
    with open_checkpoints(workdir) as checkpoints:
        restored = checkpoints.restore_newest(SHORT, messages.append)
    assert restored is not None
    return restored[0]


@pytest.mark.slow
def test_a_truncated_newest_checkpoint_is_reported_and_the_one_before_used(
    tmp_path: Path, uninterrupted: Path
) -> None:
    """This holds for each file of the checkpoint, cut in half."""
    newest = uninterrupted / "checkpoints" / str(STEPS)
    files = [path for path in newest.rglob("*") if path.is_file() and path.stat().st_size > 1]
    assert len(files) > 5
    refused = 0
    for number, path in enumerate(files):
        workdir = tmp_path / str(number)
        shutil.copytree(uninterrupted, workdir)
        copy = workdir / path.relative_to(uninterrupted)
        os.truncate(copy, copy.stat().st_size // 2)
        messages: list[str] = []
        state = restore_newest(workdir, messages)
        if int(state.step) == STEPS:  # an unimportant file: the state is whole
            assert not messages
            arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
            assert same_arrays(arrays, final_state(uninterrupted))
        else:
            refused += 1
            assert int(state.step) == 20
            assert f"checkpoint {STEPS} " in messages[0]
            assert not (workdir / "checkpoints" / str(STEPS)).exists()
    assert refused > 1


def test_if_no_checkpoint_can_be_read_all_are_left_unchanged_and_the_run_is_refused(
    tmp_path: Path, uninterrupted: Path
) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    for step in (tmp_path / "run" / "checkpoints").iterdir():
        shutil.rmtree(step / "progress")
    before = contents(tmp_path / "run")
    assert len(before) > 20
    with pytest.raises(WorkdirError, match="checkpoint 24 cannot be read"):
        restore_newest(tmp_path / "run", [])
    assert contents(tmp_path / "run") == before
