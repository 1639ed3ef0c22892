"""Tables in Markdown, and the lines that say where their figures are from."""

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def table_header(*titles: str) -> list[str]:
    """Returns the first two lines of a table."""
    return [table_row(*titles), f"|{'---|' * len(titles)}"]


def table_row(*cells: str) -> str:
    """Returns a line of a table."""
    return f"| {' | '.join(cells)} |"


def source_list(lines: Iterable[str]) -> list[str]:
    """Returns a list that says where figures are from."""
    return ["", "Where the figures are from:", "", *(f"- {line}." for line in lines)]


def hardware_of(result: Row) -> str:
    """Returns the hardware of a result: the cores of a processor, or accelerators."""
    hardware = result["hardware"]
    if hardware["devices"] == ["cpu"]:
        cores = "1 core" if hardware["cores"] == 1 else f"{hardware['cores']} cores"
        return f"{cores} of an {hardware['processor']}"
    return " + ".join(hardware["devices"])


def platform_of(result: Row) -> str:
    """Returns the hardware and the versions of a result."""
    versions = result["versions"]
    python = f"Python {versions['python']}, " if "python" in versions else ""
    return f"{hardware_of(result)}, {python}jax {versions['jax']}"


def provenance_of(result: Row) -> str:
    """Returns where a result is from: platform, commit, date and command."""
    return (
        f"{platform_of(result)}, commit {result['commit']}, {result['date']}, `{result['command']}`"
    )
