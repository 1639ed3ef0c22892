"""The last step of `make bench`: a slow run fails, and no figure is added under a wrong heading."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks.speed_requirements import format_table, main, read_runs


def write_results(folder: Path, commit: str = "0123456789ab", /, **changes: float) -> None:
    """Writes the results of a run that is just fast enough, except for the changed figures."""
    figures = {
        "batch_50": 0.85,
        "detect": 1.3,
        "4096": 1.15,
        "side": 512,
        "opencv": 1 / 3,
        **changes,
    }
    header = {"date": "2026-01-02", "commit": commit, "hardware": {"cores": 2}, "versions": {}}
    faster = {"windows": {"median": 30.0}, "rapidocr": {"median": 1.5}, "opencv": {"median": 1.0}}
    slowest = {**faster, "opencv": {"median": figures["opencv"]}}
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
            "cold_start": {
                "seconds_median": {"digits-jax detect": 2.5, "digits-jax detect, first time": 15.0}
            },
        },
        "page_speed": {
            "separated": {
                "300": {"times_faster_than": slowest},
                "1000": {"times_faster_than": faster},
            },
            "overlapping": {"times_faster_than": {"windows": {"median": 5.0}}},
            "photograph": {"seconds_median": 6.0},
            "scan": {"seconds_median": 8.0, "peak_resident_gib": 1.5},
        },
    }
    for name, result in results.items():
        command = {"command": f"python -m experiments.benchmarks.{name}"}
        (folder / f"{name}.json").write_text(json.dumps({**header, **command, **result}))


def test_a_run_at_the_limits_passes_and_is_added_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path)
    main(tmp_path)
    main(tmp_path)  # the same run again
    (run,) = read_runs(tmp_path)
    assert run["figures"]["detect"] == 1.3
    assert run["peers"]["maps"] == "onnxruntime"
    row = next(
        line for line in capsys.readouterr().out.splitlines() if "exhaustive search of" in line
    )
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["≤ 1.3", "≤ 1.1", "1.30"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_50": 0.849}, "batch 50, speed relative to PyTorch: 0.849, required ≥ 0.85"),
        ({"detect": 1.304}, "1.304, required ≤ 1.3"),
        ({"opencv": 0.3}, "the OpenCV pipeline: 3.333, required ≤ 3"),  # of the slowest page
        ({"4096": float("nan")}, "nan, required ≤ 1.15"),
    ],
)
def test_a_run_that_is_too_slow_is_added_and_fails_with_its_figure(
    changes: dict[str, float], message: str, tmp_path: Path
) -> None:
    write_results(tmp_path, **changes)
    with pytest.raises(SystemExit, match=message):
        main(tmp_path)
    assert len(read_runs(tmp_path)) == 1


def test_results_that_are_not_of_one_run_of_make_bench_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training_speed\.json is missing; `make bench`"):
        main(tmp_path)
    write_results(tmp_path, side=1024)
    with pytest.raises(SystemExit, match="for other sizes of images than the measured"):
        main(tmp_path)
    write_results(tmp_path)
    maps = tmp_path / "map_speed.json"
    text = maps.read_text()
    maps.write_text(text.replace("share_of_the_rate_of_a_product", "other"))
    with pytest.raises(SystemExit, match="'share_of_the_rate_of_a_product' was not measured"):
        main(tmp_path)
    maps.write_text(text.replace("0123456789ab", "ba9876543210"))
    with pytest.raises(SystemExit, match="not of one commit and machine"):
        main(tmp_path)
    maps.write_text(text.replace(".map_speed", ".map_speed --rounds 1"))
    with pytest.raises(SystemExit, match=r"map_speed --rounds 1` has options of its own"):
        main(tmp_path)
    assert not read_runs(tmp_path)


def test_the_commands_of_results_from_before_the_package_are_accepted(tmp_path: Path) -> None:
    write_results(tmp_path)
    for path in tmp_path.glob("*.json"):
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "command": f"python experiments/{path.stem}.py"}))
    main(tmp_path)
    assert len(read_runs(tmp_path)) == 1


def test_a_table_shows_the_last_three_runs_of_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        write_results(tmp_path, f"{number}aaaaaaaaaaa")
        main(tmp_path)
    write_results(tmp_path, "5aaaaaaaaaaa with uncommitted changes")
    capsys.readouterr()
    main(tmp_path)
    title = capsys.readouterr().out.splitlines()[0]
    assert [cell.strip() for cell in title.split("|")[4:-1]] == [
        "2026-01-02, 3aaaaaa",
        "2026-01-02, 4aaaaaa",
        "2026-01-02, 5aaaaaa and changes",
    ]
    runs = read_runs(tmp_path)
    assert len(runs) == 5  # a state that is in no commit is not added
    other_machine = {**runs[0], "hardware": {"cores": 16}}
    assert len(format_table([*runs, other_machine]).splitlines()[0].split("|")) == 6
    older_run = {**runs[0], "figures": {"maps": 3.0}}
    assert format_table([older_run])


def test_the_committed_runs_can_be_read() -> None:
    runs = read_runs()
    assert runs
    assert format_table(runs)
