"""The command as a person runs it, at sizes that say nothing about speed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from digits_jax.cli.main import main


def test_every_task_on_one_device_and_on_two(tmp_path: Path) -> None:
    picture = tmp_path / "benchmark.png"
    command = [str(Path(sys.executable).with_name("digits-jax")), "benchmark", "--json"]
    command += ["--batch-size", "6", "--image-size", "28", "--rounds", "2", "--plot"]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [*command, str(picture)], env=environment, capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert result["devices"] == ["cpu", "cpu"]
    assert {"jax", "jaxlib", "digits-jax"} <= set(result["versions"])
    rows = result["rows"]
    assert [(row["task"], row["devices"]) for row in rows] == [
        (task, count) for count in (1, 2) for task in ("train", "classify", "maps", "detect")
    ]
    # On CPU the first convolution reaches over 36 pixels for its 25 taps.
    digit = 2 * (28 * 28 * 36 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 1024 + 1024 * 10)
    for row in rows:
        low, high = row["per_second_quartiles"]
        assert 0 < low <= row["per_second"] <= high
        assert row["share_of_limit"] > 0
        assert row["peak_memory_gib"] > 0
        assert row["platform"] == "cpu"
        if row["task"] == "classify":
            assert row["gflop"] == pytest.approx(6 * digit / 1e9, abs=1e-3)
        if row["devices"] == 1:
            assert row["scaling_efficiency"] == 1
    one, two = (row["per_second"] for row in rows if row["task"] == "maps")
    scaling = [row["scaling_efficiency"] for row in rows if row["task"] == "maps"][1]
    assert scaling == pytest.approx(two / 2 / one, abs=0.002)
    assert Image.open(picture).width > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "1000"], "expected --devices of 1 to "),
        (["--devices", "0"], "expected --devices of 1 to "),
        (["--image-size", "20"], "expected --image-size of 28 pixels or more"),
        (["--batch-size", "0"], "expected --batch-size"),
        (["--rounds", "0"], "expected --batch-size and --rounds of 1 or more"),
    ],
)
def test_what_cannot_be_timed_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["benchmark", *options])
    assert exit_.value.code == 1
    assert message in capsys.readouterr().err
