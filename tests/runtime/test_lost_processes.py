"""What is said of a process that is lost, by real processes that meet on this host."""

import os
import subprocess
import sys
from pathlib import Path

import leaving_process
import pytest
from processes import ONE_DEVICE, cluster_options, end


@pytest.mark.slow
def test_an_exchange_with_a_process_that_has_left_names_it() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, str(Path(leaving_process.__file__)), *options],
            env={**os.environ, **ONE_DEVICE},
            stderr=subprocess.PIPE,
            text=True,
        )
        for options in cluster_options(2)
    ]
    messages = end(processes, timeout_s=120)
    assert [process.returncode for process in processes] == [3, 9], messages
    assert "process 1 did not answer, and this process cannot go on without" in messages[0]
    assert "Start all processes again with the same commands" in messages[0]
