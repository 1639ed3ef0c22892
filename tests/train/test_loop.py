"""Runs that are stopped, killed, damaged or begun wrongly, as real processes."""

import dataclasses
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from short_run import SHORT, first_digits

import digits_jax
from digits_jax.train import loop as training
from digits_jax.train.checkpoints import RunningMetrics, load_best, open_checkpoints
from digits_jax.train.config import TrainConfig
from digits_jax.train.loop import Diverged, train
from digits_jax.train.step import TrainState, initial_state
from digits_jax.train.workdir import WorkdirError, read_metrics

STEPS = SHORT.steps


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One device, and compiled programs shared by the many processes started here."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    return {
        **{name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def start(workdir: Path, environment: dict[str, str], steps: int = STEPS) -> subprocess.Popen[str]:
    script = Path(__file__).parents[1] / "short_run.py"
    command = [sys.executable, str(script), str(workdir), str(steps)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(workdir: Path, environment: dict[str, str], steps: int = STEPS) -> str:
    process = start(workdir, environment, steps)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def final_state(workdir: Path) -> list[np.ndarray]:
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with open_checkpoints(workdir, read_only=True) as checkpoints:
        state, _ = checkpoints.restore(checkpoints.steps()[-1], SHORT, sharding)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def without_times(workdir: Path) -> list[dict[str, float]]:
    rows = [row._asdict() for row in read_metrics(workdir / "metrics.jsonl")]
    timed = ("seconds", "images_per_second")
    return [{name: row[name] for name in row if name not in timed} for row in rows]


def same(mine: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(mine, other, strict=True))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A run that nothing stopped."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(workdir, environment)
    return workdir


def test_a_run_leaves_its_record_curve_and_checkpoints(undisturbed: Path) -> None:
    rows = read_metrics(undisturbed / "metrics.jsonl")
    assert [row.step for row in rows] == [4, 8, 10, 12, 16, 20, 24]
    for line in (undisturbed / "metrics.jsonl").read_text().splitlines():
        assert list(json.loads(line)) == [
            "step",
            "train_loss",
            "train_accuracy",
            "validation_accuracy",
            "test_accuracy",
            "images_per_second",
            "seconds",
        ]
    assert rows[-1].train_loss < rows[0].train_loss
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(rows))
    assert (undisturbed / "training_curve.png").read_bytes()[:4] == b"\x89PNG"
    description = json.loads((undisturbed / "run.json").read_text())
    assert description["recipe"] == dataclasses.asdict(SHORT)
    assert (description["seed"], len(description["data_sha256"])) == (1, 64)


def test_kept_are_the_newest_three_and_the_best(undisturbed: Path) -> None:
    rows = read_metrics(undisturbed / "metrics.jsonl")
    best = max(rows, key=lambda row: (row.validation_accuracy, row.step))
    with open_checkpoints(undisturbed, read_only=True) as checkpoints:
        assert set(checkpoints.steps()) == {16, 20, 24} | {best.step}
    assert load_best(undisturbed)[0] == best.step


def saved(workdir: Path, accuracies: list[float | None]) -> tuple[list[list[int]], list[int]]:
    """The checkpoints that are kept after each of such a validation accuracy, and the best."""
    state = initial_state(SHORT, jax.random.key(0))
    kept, best = [], []
    with open_checkpoints(workdir) as checkpoints:
        for step, accuracy in enumerate(accuracies):
            state = state._replace(step=jax.numpy.int32(step))
            checkpoints.save(state, RunningMetrics(), accuracy)
            kept.append(checkpoints.steps())
            best.append(checkpoints.best_of(checkpoints.steps()))
    return kept, best


def test_the_best_is_kept_when_newer_ones_are_worse(tmp_path: Path) -> None:
    kept, _ = saved(tmp_path, [0.5, 0.9, 0.7, None, 0.6, 0.9, 0.8, 0.8, 0.8, 0.8])
    assert kept[4] == [1, 2, 3, 4]
    assert kept[5] == [3, 4, 5]  # of equals the later one
    assert kept[9] == [5, 7, 8, 9]


def test_of_those_that_chance_tells_apart_the_latest_is_best(tmp_path: Path) -> None:
    """Up to seven of 10,000 digits fewer than the best."""
    kept, best = saved(tmp_path, [0.9950, 0.9940, 0.9943, 0.9937, 0.9936, 0.9935])
    assert best == [0, 0, 2, 2, 2, 2]
    assert kept[1] == [0, 1]
    assert kept[5] == [2, 3, 4, 5]


def test_load_checkpoint_gives_parameters_that_classify(undisturbed: Path) -> None:
    params = digits_jax.load_checkpoint(undisturbed)
    mnist = first_digits(None, print)
    images = np.asarray(mnist.validation.images[..., None], np.float32) / 255
    logits = np.asarray(digits_jax.classify(params, jax.numpy.asarray(images)))
    predicted = np.argmax(logits, axis=-1)
    accuracy = float(np.mean(predicted == mnist.validation.labels))
    rows = read_metrics(undisturbed / "metrics.jsonl")
    assert accuracy == max(row.validation_accuracy for row in rows)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def evaluations(workdir: Path) -> int:
    return len(read_metrics(workdir / "metrics.jsonl"))


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: Path, environment: dict[str, str]
) -> None:
    """SIGKILL before the first step, then a random moment after the 1st, 3rd and 5th evaluation."""
    workdir, moments = tmp_path / "run", random.Random(0)
    for rows in (0, 1, 3, 5):
        process = start(workdir, environment)
        wait_for(lambda rows=rows: evaluations(workdir) >= rows, process)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was done before it was killed"
    assert "going on at step" in finish(workdir, environment)
    assert same(final_state(workdir), final_state(undisturbed))
    assert without_times(workdir) == without_times(undisturbed)


@pytest.mark.parametrize("rows", [1, 3])
def test_killed_amid_a_save_it_ends_with_the_same_bits(
    rows: int, tmp_path: Path, undisturbed: Path, environment: dict[str, str]
) -> None:
    def halves() -> list[Path]:
        return list((tmp_path / "checkpoints").glob("*.orbax-checkpoint-tmp*"))

    process = start(tmp_path, environment)
    wait_for(lambda: evaluations(tmp_path) >= rows and bool(halves()), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert halves(), "it was not amid a save"
    finish(tmp_path, environment)
    assert not halves()
    assert same(final_state(tmp_path), final_state(undisturbed))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_goes_on_later(
    signum: signal.Signals, tmp_path: Path, undisturbed: Path, environment: dict[str, str]
) -> None:
    process = start(tmp_path, environment)
    wait_for(lambda: evaluations(tmp_path) >= 1, process)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "the same command goes on" in said
    with open_checkpoints(tmp_path, read_only=True) as checkpoints:
        saved = checkpoints.steps()[-1]
    assert 4 <= saved < STEPS
    said = finish(tmp_path, environment)
    assert f"going on at step {saved} of {STEPS}" in said
    assert same(final_state(tmp_path), final_state(undisturbed))
    assert without_times(tmp_path) == without_times(undisturbed)


def restore_newest(workdir: Path, said: list[str]) -> TrainState:
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with open_checkpoints(workdir) as checkpoints:
        restored = checkpoints.restore_newest(SHORT, sharding, said.append)
    assert restored is not None
    return restored[0]


def test_a_truncated_newest_checkpoint_is_reported_and_the_one_before_used(
    tmp_path: Path, undisturbed: Path
) -> None:
    """Whichever of its files was cut in half."""
    newest = undisturbed / "checkpoints" / str(STEPS)
    files = [path for path in newest.rglob("*") if path.is_file() and path.stat().st_size > 1]
    assert len(files) > 5
    refused = 0
    for number, path in enumerate(files):
        workdir = tmp_path / str(number)
        shutil.copytree(undisturbed, workdir)
        copy = workdir / path.relative_to(undisturbed)
        os.truncate(copy, copy.stat().st_size // 2)
        said: list[str] = []
        state = restore_newest(workdir, said)
        if int(state.step) == STEPS:  # a file of no account: all that counts is there
            assert not said
            assert same(
                [np.asarray(leaf) for leaf in jax.tree.leaves(state)], final_state(undisturbed)
            )
        else:
            refused += 1
            assert int(state.step) == 20
            assert f"checkpoint {STEPS} " in said[0]
            assert not (workdir / "checkpoints" / str(STEPS)).exists()
    assert refused > 1


def test_when_no_checkpoint_can_be_read_all_are_left_and_the_run_refused(
    tmp_path: Path, undisturbed: Path
) -> None:
    shutil.copytree(undisturbed, tmp_path / "run")
    for step in (tmp_path / "run" / "checkpoints").iterdir():
        shutil.rmtree(step / "progress")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(WorkdirError, match="checkpoint 24 cannot be read"):
        restore_newest(tmp_path / "run", [])
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    assert {p.name for p in after} == {p.name for p in before}


def test_many_steps_a_call_pause_and_end_as_one_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What accelerators do, here on the CPU; by plain descent, as Adam amplifies rounding."""
    monkeypatch.setattr(training, "load_mnist", first_digits)
    recipe = dataclasses.replace(SHORT, optimizer="sgd", learning_rate=0.01)
    one = train(recipe, tmp_path / "one", seed=1)
    monkeypatch.setattr(training, "steps_per_dispatch", lambda mesh: 3)
    many = train(recipe, tmp_path / "many", seed=1)
    for mine, other in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)
    rows, expected = without_times(tmp_path / "many"), without_times(tmp_path / "one")
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    losses, of_one = ([row["train_loss"] for row in record] for record in (rows, expected))
    np.testing.assert_allclose(losses, of_one, rtol=1e-4)


def test_a_finished_run_says_so_and_more_steps_continue_it(
    tmp_path: Path, undisturbed: Path, environment: dict[str, str]
) -> None:
    shutil.copytree(undisturbed, tmp_path / "run")
    assert "is finished: 24 of 24 steps" in finish(tmp_path / "run", environment)
    assert "going on at step 24 of 30" in finish(tmp_path / "run", environment, steps=30)
    assert [row.step for row in read_metrics(tmp_path / "run" / "metrics.jsonl")][-1] == 30
    finish(tmp_path / "straight", environment, steps=30)
    assert same(final_state(tmp_path / "run"), final_state(tmp_path / "straight"))


@pytest.mark.parametrize(
    ("change", "seed", "difference"),
    [
        ({"batch_size": 32}, 1, "batch_size: 16 there, 32 now"),
        ({"steps": 12}, 1, "steps: 24 there, 12 now"),
        ({}, 2, "seed: 1 there, 2 now"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_left_alone(
    change: dict[str, int], seed: int, difference: str, undisturbed: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    recipe: TrainConfig = dataclasses.replace(SHORT, **change)  # type: ignore[arg-type]
    with pytest.raises(WorkdirError, match=difference):
        train(recipe, undisturbed, seed)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_divergence_stops_with_the_step_the_rate_and_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "load_mnist", first_digits)
    wild = dataclasses.replace(
        SHORT, optimizer="sgd", learning_rate=1e30, steps=9, evaluate_every=9, shift=0
    )
    with pytest.raises(Diverged, match=r"step 2 \(learning rate 1e\+30\).* is none"):
        train(wild, tmp_path / "early", seed=1)
    train(dataclasses.replace(wild, learning_rate=1e-3, steps=2), tmp_path / "late", seed=1)
    run = tmp_path / "late" / "run.json"
    run.write_text(run.read_text().replace("0.001", "1e+30"))
    with pytest.raises(Diverged, match=r"step 4 .* checkpoint is of step 2"):
        train(wild, tmp_path / "late", seed=1)
    with open_checkpoints(tmp_path / "late", read_only=True) as checkpoints:
        assert checkpoints.steps() == [2]


def test_a_folder_that_holds_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="holds no training run"):
        digits_jax.load_checkpoint(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(WorkdirError, match=r"run\.json cannot be read"):
        digits_jax.load_checkpoint(tmp_path)


def test_a_run_without_a_checkpoint_is_named(tmp_path: Path, undisturbed: Path) -> None:
    (tmp_path / "run.json").write_text((undisturbed / "run.json").read_text())
    with pytest.raises(WorkdirError, match="no checkpoint"):
        digits_jax.load_checkpoint(tmp_path)
