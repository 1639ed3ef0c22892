"""The name, the features and the cores of the processor."""

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # exists on Linux


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Returns the processor's model name, or the architecture if the name is not known.

    Args:
      cpuinfo: Linux's description of the processors.
    """
    for line in _lines(cpuinfo):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int | None:
    """Returns the number of cores on which this process may run, or None if it is not known.

    On Linux, `taskset` leaves a process a part of the machine's cores.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def cpu_features(cpuinfo: Path = CPUINFO) -> str:
    """Returns a text that is the same on processors that can run the same compiled programs.

    Args:
      cpuinfo: Linux's description of the processors.
    """
    prefixes = ("model name", "flags", "Features")  # "Features" are those of ARM processors
    lines = {line for line in _lines(cpuinfo) if line.startswith(prefixes)}
    return platform.machine() + platform.processor() + "".join(sorted(lines))


def _lines(cpuinfo: Path) -> list[str]:
    if not cpuinfo.exists():
        return []
    return cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
