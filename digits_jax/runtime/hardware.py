"""What processor this is."""

import platform
from pathlib import Path

DESCRIBED = Path("/proc/cpuinfo")  # by Linux


def processor_name() -> str:
    """The processor's name where the system tells it, else the kind of machine."""
    for line in _lines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_features() -> str:
    """What a program compiled here may ask of the processor: the same on equal processors."""
    known = {line for line in _lines() if line.startswith(("model name", "flags", "Features"))}
    return platform.machine() + platform.processor() + "".join(sorted(known))


def _lines() -> list[str]:
    if not DESCRIBED.exists():
        return []
    return DESCRIBED.read_text(encoding="utf-8", errors="replace").splitlines()
