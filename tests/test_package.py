"""The package as people get it: the README's example run with an installed wheel."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_finds_digits_with_the_readme_s_example(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("digits_jax-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)

    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert example is not None
    code = example.group(1) + "\nprint(digits_jax.__file__)\n"
    environment = {**os.environ, "PYTHONPATH": str(site), "XLA_FLAGS": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    *detections, shape, file = run.stdout.strip().splitlines()
    assert file == str(site / "digits_jax" / "__init__.py")
    assert shape == "(1, 57, 57)"
    assert 3 <= len(detections) <= 8  # as many digits as a native scene holds
    assert all(re.fullmatch(r"\d [01]\.\d\d \[[\d ]+\]", line) for line in detections)
