"""Freed memory stays in the process: its size does not fall when a large array goes."""

import subprocess
import sys

SCRIPT = """
import resource, sys
import numpy as np
from digits_jax.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.empty(64 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

default = faults()
kept = keep_freed_memory()
faults()
print(int(kept), default, faults())
"""


def test_a_large_block_is_faulted_in_once() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, default, after = map(int, run.stdout.split())
    if kept:  # elsewhere than on glibc there is nothing to keep
        assert default > 100
        assert after < default / 10
