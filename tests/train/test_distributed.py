"""Runs of several processes: real ones, that meet on this host."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import restoring_process
from processes import ONE_DEVICE, cluster_options, end
from restoring_process import SEEN_BY_ONE, UNREADABLE_BY_ONE, sha256
from training_runs import (
    STEPS,
    count_evaluations,
    final_state,
    metrics_without_times,
    same_arrays,
    start_processes,
    start_run,
    wait_for_evaluations,
)

from digits_jax.runtime.distributed import ClusterError, join_processes
from digits_jax.train.checkpoints import open_checkpoints
from digits_jax.train.workdir import lock_workdir


def _scale_to_load(promised_s: float, begun: float) -> float:
    """Returns a time that is promised, or more on a machine so busy that a start is slow.

    Args:
      promised_s: seconds, on a machine that starts a run and does some steps within a minute.
      begun: when this run was started, by `time.monotonic`; it has done some steps now.
    """
    return promised_s * max(1.0, (time.monotonic() - begun) / 60)


def _end_well(processes: list[subprocess.Popen[str]]) -> list[str]:
    messages = end(processes)
    assert all(process.returncode == 0 for process in processes), messages
    return messages


@pytest.fixture(scope="module")
def run_of_two(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """The work folder of a run of two processes that nothing stopped."""
    workdir = tmp_path_factory.mktemp("two") / "run"
    messages = _end_well(start_processes(workdir, environment, 2))
    assert "on 2 × cpu" in messages[0]
    assert "Test accuracy" in messages[0]
    assert "step" not in messages[1]  # the main process alone reports
    return workdir


def _assert_same_curves(workdir: Path, other: Path) -> None:
    rows, other_rows = metrics_without_times(workdir), metrics_without_times(other)
    assert [row["step"] for row in rows] == [row["step"] for row in other_rows]
    for row, other_row in zip(rows, other_rows, strict=True):
        assert row == pytest.approx(other_row, abs=1e-5)


@pytest.mark.slow
def test_the_curves_of_1_2_and_4_processes_are_the_same(
    tmp_path: Path, uninterrupted: Path, run_of_two: Path, environment: dict[str, str]
) -> None:
    _assert_same_curves(run_of_two, uninterrupted)
    _end_well(start_processes(tmp_path / "four", environment, 4))
    _assert_same_curves(tmp_path / "four", uninterrupted)


@pytest.mark.slow
def test_under_slurm_the_processes_find_each_other(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    """With the variables that `srun` sets in its tasks; the port comes from the job's number."""
    job = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
    }
    processes = [
        start_run(
            tmp_path,
            {**environment, **job, "SLURM_PROCID": number, "SLURM_LOCALID": number},
            STEPS,
            "--distributed",
        )
        for number in ("0", "1")
    ]
    assert "on 2 × cpu" in _end_well(processes)[0]
    _assert_same_curves(tmp_path, uninterrupted)


@pytest.mark.slow
def test_a_signal_to_one_process_saves_in_all_and_another_number_continues(
    tmp_path: Path, uninterrupted: Path, environment: dict[str, str]
) -> None:
    """Twice, since JAX counts steps anew in a run that is continued."""
    steps, saved = 5000, 0  # more than are done before the signal arrives
    for number, signum in ((0, signal.SIGTERM), (1, signal.SIGINT)):
        started, evaluations = time.monotonic(), count_evaluations(tmp_path)
        processes = start_processes(tmp_path, environment, 2, steps)
        wait_for_evaluations(tmp_path, evaluations + 1, processes[0])
        processes[number].send_signal(signum)
        messages = end(processes, timeout_s=_scale_to_load(60, started))
        assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2
        assert all("the same command continues from there" in text for text in messages)
        with open_checkpoints(tmp_path, read_only=True) as checkpoints:
            before, saved = saved, checkpoints.steps()[-1]
        assert before < saved < steps
    alone = start_run(tmp_path, environment, steps)
    wait_for_evaluations(tmp_path, count_evaluations(tmp_path) + 1, alone)
    alone.kill()
    assert f"continuing at step {saved} of 5,000 on 1" in alone.communicate()[1].replace(
        f"{saved:,}", str(saved)
    )
    rows, expected = metrics_without_times(tmp_path), metrics_without_times(uninterrupted)
    for row, other in zip(rows, expected, strict=False):
        assert row == pytest.approx(other, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_stops_the_others_which_name_it_and_loses_nothing(
    killed: int, tmp_path: Path, run_of_two: Path, environment: dict[str, str]
) -> None:
    """The restarted run ends with the same bits as a run of two that nothing stopped.

    On a busy machine JAX may miss the heartbeats of process 1 before an exchange with it fails.
    """
    started = time.monotonic()
    processes = start_processes(tmp_path, environment, 2)
    wait_for_evaluations(tmp_path, 2, processes[0])
    allowed = _scale_to_load(60, started)
    processes[killed].send_signal(signal.SIGKILL)
    messages = end(processes, timeout_s=allowed)
    assert processes[1 - killed].returncode not in (0, None)
    lost = {0: "the leader task was preempted/died", 1: "process 1 did not answer|task:1"}
    assert re.search(lost[killed], messages[1 - killed])
    _end_well(start_processes(tmp_path, environment, 2))
    assert same_arrays(final_state(tmp_path), final_state(run_of_two))
    assert metrics_without_times(tmp_path) == metrics_without_times(run_of_two)


def _largest_part(workdir: Path, step: int, process: int) -> Path:
    """Returns the largest of the files that a process has written of a checkpoint."""
    parts = workdir / "checkpoints" / str(step) / "state" / f"ocdbt.process_{process}" / "d"
    return max(parts.iterdir(), key=lambda path: path.stat().st_size)


def _change_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = (byte ^ 0x55 for byte in content[middle : middle + 4])
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.slow
def test_two_processes_pass_over_damaged_checkpoints_and_end_with_the_same_bits(
    tmp_path: Path, run_of_two: Path, environment: dict[str, str]
) -> None:
    """One part of the newest checkpoint is cut in half; one of that before has other bytes."""
    workdir = tmp_path / "run"
    shutil.copytree(run_of_two, workdir)
    _truncate(_largest_part(workdir, STEPS, 0))
    _change_bytes(_largest_part(workdir, STEPS - 4, 1))
    messages = _end_well(start_processes(workdir, environment, 2))
    assert f"checkpoint {STEPS} cannot be read: " in messages[0]
    assert f"checkpoint {STEPS - 4} does not hold what was saved; it is deleted" in messages[0]
    assert f"continuing at step {STEPS - 8} of {STEPS} on 2 × cpu" in messages[0]
    assert same_arrays(final_state(workdir), final_state(run_of_two))
    assert metrics_without_times(workdir) == metrics_without_times(run_of_two)


@pytest.mark.slow
def test_two_processes_restore_the_same_checkpoint_whatever_part_is_damaged(
    tmp_path: Path, run_of_two: Path, environment: dict[str, str]
) -> None:
    """Also if only one of them fails to read it, as from a disk cache of its host."""
    whole = "undamaged"
    damages: dict[str, Callable[[Path], None]] = {
        "cut": _truncate,
        "changed": _change_bytes,
        "gone": Path.unlink,
    }
    copies = [UNREADABLE_BY_ONE, SEEN_BY_ONE, whole]
    for process in (0, 1):
        copies += [f"{process} {damage}" for damage in damages]
    for name in copies:
        shutil.copytree(run_of_two, tmp_path / "runs" / name)
        if name[0] in "01":
            damages[name[2:]](_largest_part(tmp_path / "runs" / name, STEPS, int(name[0])))
    script = Path(restoring_process.__file__)
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "runs"), *options],
            env={**environment, **ONE_DEVICE},
            stderr=subprocess.PIPE,
            text=True,
        )
        for options in cluster_options(2)
    ]
    _end_well(processes)
    found, other = (json.loads((tmp_path / f"runs-{k}.json").read_text()) for k in (0, 1))
    assert found == other
    (refusal,) = found.pop(SEEN_BY_ONE)
    assert "expected a work folder that all processes see, with the same checkpoints" in refusal
    copies.remove(SEEN_BY_ONE)
    assert {name: step for name, (step, _) in found.items()} == {
        name: STEPS if name == whole else STEPS - 4 for name in copies
    }
    assert found[whole][1] == sha256(final_state(run_of_two))
    assert len({digest for name, (_, digest) in found.items() if name != whole}) == 1


@pytest.mark.slow
def test_a_second_run_of_two_in_the_same_folder_is_refused_in_both(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with lock_workdir(tmp_path):
        processes = start_processes(tmp_path, environment, 2)
        messages = end(processes)
    assert [process.returncode for process in processes] == [1, 1]
    assert "another run is training" in messages[0]
    assert "process 0 could not begin" in messages[1]


@pytest.mark.slow
def test_without_a_cluster_the_message_says_what_to_give(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    process = start_run(tmp_path, environment, STEPS, "--distributed")
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "coordinator_address should be defined" in messages
    assert "give --coordinator HOST:PORT" in messages


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("localhost:1", 2, None), "--coordinator, --num-processes and --process-id together"),
        (("localhost:1", 2, 2), "--process-id from 0 to --num-processes − 1, 1; got 2"),
    ],
)
def test_missing_or_wrong_arguments_are_refused(
    arguments: tuple[str | None, int | None, int | None], expected: str
) -> None:
    with pytest.raises(ClusterError, match=expected):
        join_processes(*arguments)
