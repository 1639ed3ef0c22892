"""What `make bench` ends with: a slow run fails, and no figure is filed under what it is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks import musts as module


@pytest.fixture
def musts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With a folder of results of its own."""
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "RUNS", tmp_path / "speed_runs.json")
    return module


def write(folder: Path, commit: str = "0123456789ab", /, **changed: float) -> None:
    """A run that is as fast as it must be, but for what is changed."""
    figures = {"batch_50": 0.85, "detect": 1.3, "4096": 1.15, "side": 512, **changed}
    header = {"date": "2026-01-02", "commit": commit, "hardware": {"cores": 2}, "versions": {}}
    batch = {"peer": "pytorch", "ratio_median": 1.0, "share_of_the_rate_of_a_product": 0.5}
    results: dict[str, dict[str, Any]] = {
        "training_speed": {
            "environment": {},
            "batch_size": {"50": {**batch, "ratio_median": figures["batch_50"]}, "256": batch},
        },
        "map_speed": {
            "side": figures["side"],
            "fastest_peer": "onnxruntime",
            "times_faster_than_the_fastest_peer": {"median": 3.0},
            "times_the_time_of_a_trous": {"median": 1.25},
            "share_of_the_rate_of_a_product": 0.1,
        },
        "detection_speed": {
            "time_of_a_window": {
                "first": 512,
                "times_as_long": {"2048": {"median": 1.0}, "4096": {"median": figures["4096"]}},
            },
            "detect_in_times_of_its_maps": {"side": 300, "median": figures["detect"]},
            "cold_start": {"seconds_median": {"digits-jax detect": 5.0}},
        },
    }
    for name, result in results.items():
        command = {"command": f"python experiments/benchmarks/{name}.py"}
        (folder / f"{name}.json").write_text(json.dumps({**header, **command, **result}))


def test_what_is_just_fast_enough_holds_and_is_kept_once(
    musts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    musts.main()
    musts.main()  # to see the table again is no further run
    (run,) = musts.read_runs()
    assert run["figures"]["detect"] == 1.3
    assert run["peers"]["maps"] == "onnxruntime"
    row = next(line for line in capsys.readouterr().out.splitlines() if "`detect`" in line)
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["≤ 1.3", "≤ 1.1", "1.30"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch_50": 0.849}, "batch 50, times PyTorch's rate: 0.849, must be ≥ 0.85"),
        ({"detect": 1.304}, "1.304, must be ≤ 1.3"),
        ({"4096": float("nan")}, "nan, must be ≤ 1.15"),
    ],
)
def test_what_is_too_slow_is_kept_and_fails_by_how_much(
    changed: dict[str, float], said: str, musts: Any, tmp_path: Path
) -> None:
    write(tmp_path, **changed)
    with pytest.raises(SystemExit, match=said):
        musts.main()
    assert len(musts.read_runs()) == 1


def test_what_is_no_run_of_make_bench_is_refused(musts: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training_speed\.json is missing; `make bench`"):
        musts.main()
    write(tmp_path, side=1024)
    with pytest.raises(SystemExit, match="other sizes than what must hold"):
        musts.main()
    write(tmp_path)
    maps = tmp_path / "map_speed.json"
    kept = maps.read_text()
    maps.write_text(kept.replace("share_of_the_rate_of_a_product", "other"))
    with pytest.raises(SystemExit, match="'share_of_the_rate_of_a_product' was not measured"):
        musts.main()
    maps.write_text(kept.replace("0123456789ab", "ba9876543210"))
    with pytest.raises(SystemExit, match="not of one commit and machine"):
        musts.main()
    maps.write_text(kept.replace("map_speed.py", "map_speed.py --rounds 1"))
    with pytest.raises(SystemExit, match="options of their own"):
        musts.main()
    assert not musts.read_runs()


def test_a_table_has_the_last_three_runs_of_one_machine(
    musts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        write(tmp_path, f"{number}aaaaaaaaaaa")
        musts.main()
    write(tmp_path, "5aaaaaaaaaaa with uncommitted changes")
    capsys.readouterr()
    musts.main()
    title = capsys.readouterr().out.splitlines()[0]
    assert [cell.strip() for cell in title.split("|")[4:-1]] == [
        "2026-01-02, 3aaaaaa",
        "2026-01-02, 4aaaaaa",
        "2026-01-02, 5aaaaaa and changes",
    ]
    runs = musts.read_runs()
    assert len(runs) == 5  # of a state that nobody can go back to, nothing is kept
    elsewhere = {**runs[0], "hardware": {"cores": 16}}
    assert len(musts.table([*runs, elsewhere]).splitlines()[0].split("|")) == 6
    older = {**runs[0], "figures": {"maps": 3.0}}
    assert musts.table([older])
