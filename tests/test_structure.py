"""What contributors rely on: short modules, a short README, and a map that shows every module."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "digits_jax").rglob("*.py"))


def test_no_module_has_more_than_300_lines() -> None:
    modules = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 300} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_architecture_page_names_every_module(path: Path) -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    name = path.parent.name if path.name == "__init__.py" else path.name
    assert name in tree


def test_the_readme_has_at_most_9_kb_and_names_the_paper_in_its_first_lines() -> None:
    readme = (ROOT / "README.md").read_bytes()
    assert len(readme) <= 9 * 1024
    assert b"doi.org/10.4236/iim.2018.102005" in b"".join(readme.splitlines()[:12])
