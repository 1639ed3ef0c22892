"""Runs that are stopped, killed, continued, refused or diverge."""

import dataclasses
import itertools
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from short_run import SHORT, first_digits
from training_runs import (
    STEPS,
    contents,
    count_evaluations,
    final_state,
    metrics_without_times,
    run_to_end,
    same_arrays,
    start_run,
    wait_for,
)

from digits_jax.data.mnist import Dataset
from digits_jax.train.checkpoints import load_best, open_checkpoints
from digits_jax.train.config import TrainConfig
from digits_jax.train.loop import Diverged, train
from digits_jax.train.workdir import WorkdirError, read_metrics


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    """SIGKILL comes before the first step, and at random after the 1st, 3rd and 5th evaluation."""
    workdir, moments = tmp_path / "run", random.Random(0)
    for rows in (0, 1, 3, 5):
        process = start_run(workdir, environment)
        wait_for(lambda rows=rows: count_evaluations(workdir) >= rows, process)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert "continuing at step" in run_to_end(workdir, environment)
    assert same_arrays(final_state(workdir), final_state(uninterrupted))
    assert metrics_without_times(workdir) == metrics_without_times(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_a_run_killed_during_a_save_ends_with_the_same_bits(
    rows: int, tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    def unfinished_saves() -> list[Path]:
        return list((tmp_path / "checkpoints").glob("*.orbax-checkpoint-tmp*"))

    process = start_run(tmp_path, environment)
    wait_for(lambda: count_evaluations(tmp_path) >= rows and bool(unfinished_saves()), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert unfinished_saves(), "it was not killed during a save"
    run_to_end(tmp_path, environment)
    assert not unfinished_saves()
    assert same_arrays(final_state(tmp_path), final_state(uninterrupted))


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_by_a_signal_saves_and_continues_later(
    signum: signal.Signals, tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    process = start_run(tmp_path, environment)
    wait_for(lambda: count_evaluations(tmp_path) >= 1, process)
    process.send_signal(signum)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "the same command continues from there" in messages
    with open_checkpoints(tmp_path, read_only=True) as checkpoints:
        saved = checkpoints.steps()[-1]
    assert 4 <= saved < STEPS
    messages = run_to_end(tmp_path, environment)
    assert f"continuing at step {saved} of {STEPS}" in messages
    assert same_arrays(final_state(tmp_path), final_state(uninterrupted))
    assert metrics_without_times(tmp_path) == metrics_without_times(uninterrupted)


@pytest.mark.slow
def test_several_steps_a_call_evaluate_and_end_as_one_a_call(tmp_path: Path) -> None:
    """The program of accelerators on the CPU, with gradient descent: Adam amplifies rounding."""
    config = dataclasses.replace(SHORT, optimizer="sgd", learning_rate=0.01, convolution_share=0.5)
    mnist = first_digits()
    expected = train(config, tmp_path / "one", seed=1, mnist=mnist, max_steps_per_call=1)
    params = train(config, tmp_path / "three", seed=1, mnist=mnist, max_steps_per_call=3)
    for actual, reference in zip(jax.tree.leaves(params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-6)
    one, three = (metrics_without_times(tmp_path / name) for name in ("one", "three"))
    assert [row["step"] for row in three] == [row["step"] for row in one]
    losses, expected_losses = ([row["train_loss"] for row in rows] for rows in (three, one))
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)


@pytest.mark.slow
def test_a_finished_run_is_reported_and_continued_by_more_steps(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    assert "is finished: 24 of 24 steps" in run_to_end(tmp_path / "run", environment)
    assert "continuing at step 24 of 30" in run_to_end(tmp_path / "run", environment, steps=30)
    assert [row.step for row in read_metrics(tmp_path / "run" / "metrics.jsonl")][-1] == 30
    run_to_end(tmp_path / "straight", environment, steps=30)
    assert same_arrays(final_state(tmp_path / "run"), final_state(tmp_path / "straight"))


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_muon_s_state_is_saved_and_continued(tmp_path: Path) -> None:
    """Its optimizer state has empty places, where the other optimizer has its arrays."""
    config = dataclasses.replace(SHORT, optimizer="muon", steps=8)
    half, mnist = dataclasses.replace(config, steps=4), first_digits()
    train(half, tmp_path / "parts", seed=1, mnist=mnist)
    train(config, tmp_path / "parts", seed=1, mnist=mnist)
    train(config, tmp_path / "whole", seed=1, mnist=mnist)
    parts, whole = (metrics_without_times(tmp_path / name) for name in ("parts", "whole"))
    assert [row["step"] for row in parts] == [4, 8]
    assert parts == whole


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a day behind when a run is continued, and goes back by a second at each look."""
    steps = 8
    config = dataclasses.replace(SHORT, steps=steps)
    half, mnist = dataclasses.replace(SHORT, steps=steps // 2), first_digits()
    train(config, tmp_path / "whole", seed=1, mnist=mnist)
    train(half, tmp_path / "parts", seed=1, mnist=mnist)
    looks = itertools.count()
    begin = time.time() - 24 * 3600
    monkeypatch.setattr(time, "time", lambda: begin - next(looks))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * (begin - next(looks))))
    train(config, tmp_path / "parts", seed=1, mnist=mnist)
    assert next(looks) > 0
    assert same_arrays(final_state(tmp_path / "parts"), final_state(tmp_path / "whole"))
    rows = read_metrics(tmp_path / "parts" / "metrics.jsonl")
    assert [row.step for row in rows][-2:] == [4, 8]
    assert all(row.seconds > 0 and row.images_per_second > 0 for row in rows)
    seconds = [row.seconds for row in rows]
    assert seconds == sorted(seconds)


@pytest.mark.slow
@pytest.mark.usefixtures("optax_promotion")
def test_a_run_on_the_validation_digits_too_is_that_on_both_and_tested_once(
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(SHORT, steps=8, train_on_validation=True)
    mnist = first_digits()
    params = train(config, tmp_path / "flag", seed=1, mnist=mnist)
    both = Dataset(*(np.concatenate(pair) for pair in zip(mnist.train, mnist.validation)))  # noqa: B905
    plain = dataclasses.replace(config, train_on_validation=False)
    train(plain, tmp_path / "both", seed=1, mnist=mnist._replace(train=both))
    rows, expected = (metrics_without_times(tmp_path / name) for name in ("flag", "both"))
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in expected]
    assert [row["validation_accuracy"] for row in rows] == [None, None]
    assert [row["test_accuracy"] for row in rows] == [None, expected[1]["test_accuracy"]]
    step, last = load_best(tmp_path / "flag")
    assert step == 8
    assert same_arrays(*(list(map(np.asarray, jax.tree.leaves(p))) for p in (params, last)))
    assert (tmp_path / "flag" / "training_curve.png").exists()


@pytest.mark.parametrize(
    ("change", "seed", "difference"),
    [
        ({"batch_size": 32}, 1, "batch_size: 16 there, 32 now"),
        ({"steps": 12}, 1, "steps: 24 there, 12 now"),
        ({}, 2, "seed: 1 there, 2 now"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_left_unchanged(
    change: dict[str, int], seed: int, difference: str, uninterrupted: Path
) -> None:
    before = contents(uninterrupted)
    config: TrainConfig = dataclasses.replace(SHORT, **change)  # type: ignore[arg-type]
    with pytest.raises(WorkdirError, match=difference):
        train(config, uninterrupted, seed)
    assert contents(uninterrupted) == before


def test_divergence_stops_with_the_step_the_rate_and_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    mnist = first_digits()
    diverging = dataclasses.replace(
        SHORT, optimizer="sgd", learning_rate=1e30, steps=9, evaluate_every=9, translate_px=0
    )
    with pytest.raises(Diverged, match=r"step 2 \(learning rate 1e\+30\).*no checkpoint is saved"):
        train(diverging, tmp_path / "early", seed=1, mnist=mnist)
    good = dataclasses.replace(diverging, learning_rate=1e-3, steps=2)
    train(good, tmp_path / "late", seed=1, mnist=mnist)
    run = tmp_path / "late" / "run.json"
    run.write_text(run.read_text().replace("0.001", "1e+30"))
    with pytest.raises(Diverged, match=r"step 4 .* checkpoint is of step 2"):
        train(diverging, tmp_path / "late", seed=1, mnist=mnist)
    with open_checkpoints(tmp_path / "late", read_only=True) as checkpoints:
        assert checkpoints.steps() == [2]


@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused_until_the_first_has_ended_or_was_killed(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    first = start_run(tmp_path, environment)
    wait_for(lambda: count_evaluations(tmp_path) >= 2, first)
    first.send_signal(signal.SIGSTOP)  # so that it does not end meanwhile
    second = start_run(tmp_path, environment)
    _, messages = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"another run is training in {tmp_path}" in messages
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert "continuing at step" in run_to_end(tmp_path, environment)
    assert same_arrays(final_state(tmp_path), final_state(uninterrupted))


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_loses_nothing(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    """Files may no longer grow over 64 KiB, which the system reports much as a full disk."""
    process = start_run(tmp_path, environment)
    wait_for(lambda: count_evaluations(tmp_path) >= 2, process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2**16, resource.RLIM_INFINITY))
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.search(r"digits-jax: checkpoint \d+ cannot be saved: .*make room", messages)
    with open_checkpoints(tmp_path, read_only=True) as checkpoints:
        saved = checkpoints.steps()[-1]
    assert f"continuing at step {saved}" in run_to_end(tmp_path, environment)
    assert same_arrays(final_state(tmp_path), final_state(uninterrupted))
    assert metrics_without_times(tmp_path) == metrics_without_times(uninterrupted)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory that holds two checkpoints and half of a third."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=88m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system of limited size")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_loses_no_checkpoint(
    small_disk: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    process = start_run(small_disk / "run", environment)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "digits-jax: checkpoint 10 cannot be saved: " in messages
    assert "make room" in messages
    enlarge = ["mount", "-o", "remount,size=400m", str(small_disk)]
    subprocess.run(enlarge, check=True)
    assert "continuing at step 8 of" in run_to_end(small_disk / "run", environment)
    assert same_arrays(final_state(small_disk / "run"), final_state(uninterrupted))
    assert metrics_without_times(small_disk / "run") == metrics_without_times(uninterrupted)
