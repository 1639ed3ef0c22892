"""`digits-jax benchmark`, with sizes too small for meaningful figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import exit_status
from PIL import Image


@pytest.mark.slow
def test_benchmark_measures_every_task_on_one_device_and_on_two(tmp_path: Path) -> None:
    picture = tmp_path / "benchmark.png"
    command = [str(Path(sys.executable).with_name("digits-jax")), "benchmark", "--json"]
    command += ["--batch-size", "6", "--image-size", "28", "--rounds", "2", "--plot", str(picture)]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    report = json.loads(process.stdout)
    assert report["devices"] == ["cpu", "cpu"]
    assert {"jax", "jaxlib", "digits-jax"} <= set(report["versions"])
    rows = report["rows"]
    tasks = ("train", "classify", "train", "maps", "detect", "detect-components")
    assert [(row["task"], row["devices"]) for row in rows] == [
        (task, count) for count in (1, 2) for task in tasks
    ]
    sizes = [row["size"] for row in rows if row["task"] == "train"]
    assert sizes == 2 * ["batch 6", "standard, batch 512"]
    # On a CPU the first convolution computes 36 products for its 25 weights.
    convolution_flop = 2 * (28 * 28 * 36 * 32 + 14 * 14 * 25 * 32 * 64)
    digit_flop = convolution_flop + 2 * (3136 * 1024 + 1024 * 10)
    # Muon: X·Xᵀ and the last product of 49 matrices of 64×1024 and one of 64×800, and 20 of 64×64.
    muon_flop = 2 * (49 * 2 * 64**2 * 1024 + 2 * 64**2 * 800 + 50 * 20 * 64**3)
    for row in rows:
        lower, upper = row["per_second_quartiles"]
        assert 0 < lower <= row["per_second"] <= upper
        assert row["matmul_share"] > 0
        assert row["share_of_limit"] == row["matmul_share"]  # its former name
        assert row["peak_memory_gib"] > 0
        assert row["platform"] == "cpu"
        if row["task"] == "classify":
            assert row["gflop"] == pytest.approx(6 * digit_flop / 1e9, abs=1e-3)
        # Three products for each, but for the convolutions of half of them one.
        if row["size"] == "standard, batch 512":
            flop = 3 * 512 * digit_flop - 2 * 256 * convolution_flop + muon_flop
            assert row["gflop"] == pytest.approx(flop / 1e9, rel=1e-3)
        if row["task"] == "detect-components":  # the digit of each page of 28×28 px is read once
            digits = row["devices"] * digit_flop / 1e9
            assert row["gflop"] == pytest.approx(digits, abs=1e-3)
        if row["devices"] == 1:
            assert row["scaling_efficiency"] == 1
    one, two = (row["per_second"] for row in rows if row["task"] == "maps")
    _, efficiency = (row["scaling_efficiency"] for row in rows if row["task"] == "maps")
    assert efficiency == pytest.approx(two / 2 / one, abs=0.002)
    assert Image.open(picture).width > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "1000"], "expected --devices to be 1 to "),
        (["--devices", "0"], "expected --devices to be 1 to "),
        (["--image-size", "20"], "expected --image-size to be at least 28 px; got 20"),
        (["--batch-size", "0"], "expected --batch-size to be at least 1"),
        (["--rounds", "0"], "expected --rounds to be at least 1"),
        (["--batch-size", "--image-size"], "got neither"),
        (
            ["--devices", "2", "--batch-size", "3", "5", "--image-size"],
            "expected a --batch-size that 2 devices can share evenly; got 3, 5",
        ),
        (["--plot", "plot.unknown"], "expected --plot to end in a picture format ("),
        (["--plot", "/"], "/ is not a file"),
    ],
)
def test_benchmark_refuses_bad_options_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("benchmark", *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-jax: ")
    assert message in line
