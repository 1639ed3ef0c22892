"""The table of fine-tuning: errors before and after, of all seeds."""

from pathlib import Path

from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import (
    Row,
    provenance_of,
    source_list,
    table_header,
    table_row,
)


def render_finetune(results: Path = RESULTS) -> str:
    """Renders the errors on the digits apart and MNIST's test digits, a row a kind and config."""
    result = read_result("finetune", results)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in result["rows"]:
        groups.setdefault((row["digits"], row["config"]), []).append(row)
    lines = []
    for (digits, config), rows in groups.items():
        first = rows[0]
        options = " ".join(
            f"`--{key.replace('_', '-')} {value:g}`"
            if isinstance(value, float)
            else f"`--{key.replace('_', '-')} {value}`"
            for key, value in first["change"].items()
        )
        lines.append(
            table_row(
                *(digits, options or f"`{config}`"),
                *(f"{first['own_pictures']:,}", f"{first['test_digits']:,}"),
                *(str(first["before"]["own"]), _each(rows, "own")),
                *(str(first["before"]["mnist"]), _each(rows, "mnist")),
            )
        )
    columns = ("digits", "configuration", "pictures", "test digits", "errors before", "after")
    header = table_header(*columns, "on MNIST's 10,000 before", "after ")
    return "\n".join([*header, *lines, *source_list([provenance_of(result)])])


def _each(rows: list[Row], part: str) -> str:
    return ", ".join(str(row["after"][part]) for row in rows)
