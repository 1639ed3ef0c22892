"""One of two processes, of which process 1 leaves without a word: `leaving_process.py OPTION…`.

Process 0 then exchanges an array with it, and writes on standard error what became of that.
"""

import argparse
import os
import sys

import numpy as np
from jax.experimental import multihost_utils

from digits_jax.runtime.distributed import (
    ProcessLost,
    detect_lost_processes,
    join_processes,
    leave_at_once,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--process-id", type=int)
    arguments = parser.parse_args()
    join_processes(arguments.coordinator, arguments.num_processes, arguments.process_id)
    multihost_utils.process_allgather(np.zeros(1))  # both are there
    if arguments.process_id == 1:
        os._exit(9)
    try:
        with detect_lost_processes():
            while True:
                multihost_utils.process_allgather(np.zeros(1))
    except ProcessLost as error:
        print(error, file=sys.stderr)
        leave_at_once(3)
