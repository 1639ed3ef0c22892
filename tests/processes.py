"""Processes of one distributed run, which meet on this host."""

import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

# JAX in such a process: one device, so that its programs are stored.
ONE_DEVICE = {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"}


def cluster_options(count: int) -> list[tuple[str, ...]]:
    """Returns the options of each of several processes, with which they find each other."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ("--coordinator", f"localhost:{port}", "--num-processes", str(count))
    return [(*options, "--process-id", str(number)) for number in range(count)]


def end(processes: list[subprocess.Popen[str]], timeout_s: float = 600) -> list[str]:
    """Waits for the end of all processes, and returns their messages.

    It reads the messages of all at once, since a process waits where nobody reads its own.
    """
    deadline = time.monotonic() + timeout_s

    def read(process: subprocess.Popen[str]) -> str:
        return process.communicate(timeout=max(0.0, deadline - time.monotonic()))[1]

    with ThreadPoolExecutor(len(processes)) as pool:
        try:
            return [*pool.map(read, processes)]
        finally:
            for process in processes:
                process.kill()
