"""`digits-jax detect` in several processes, which share the images out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_status, read_json_lines, save_image
from PIL import Image
from processes import ONE_DEVICE, cluster_options, end

KILLED_RUN = Path(__file__).parents[1] / "killed_run.py"
PIXELS = np.zeros((40, 50), np.uint8)

pytestmark = [
    pytest.mark.usefixtures("pretrained", "fake_detector"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def start(
    count: int, *arguments: object, of_one: tuple[object, ...] | None = None
) -> list[subprocess.Popen[str]]:
    """Starts `detect` with a detector that takes 20 ms an image, in one or several processes.

    Args:
      count: the number of processes.
      arguments: of the command, in each process.
      of_one: those of the last process, if they are others.
    """
    processes = []
    for number, options in enumerate(cluster_options(count) if count > 1 else [()]):
        own = of_one if of_one and number == count - 1 else arguments
        command = [sys.executable, *map(str, (KILLED_RUN, "detect", *own, *options))]
        processes.append(
            subprocess.Popen(
                command, env={**os.environ, **ONE_DEVICE}, stderr=subprocess.PIPE, text=True
            )
        )
    return processes


def wait_for_lines(part: Path, lines: int, process: subprocess.Popen[str]) -> None:
    """Waits until a part has so many lines, as long as the process lives."""
    deadline = time.monotonic() + 120
    while not part.exists() or part.read_bytes().count(b"\n") < lines:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def many_scans(tmp_path: Path) -> Path:
    """A folder of 120 files, one of which has ten pages."""
    for k in range(119):
        save_image(tmp_path / f"scans/{k:03}.png", PIXELS)
    pages = Image.fromarray(PIXELS)
    pages.save(tmp_path / "scans/060.tif", save_all=True, append_images=9 * [pages])
    return tmp_path / "scans"


def result_of_one(scans: Path, output: Path) -> bytes:
    """Returns what one process writes, after all others, to the same file."""
    output.unlink()
    exit_status("detect", scans, "--output", output)
    return output.read_bytes()


@pytest.mark.slow
def test_two_processes_write_the_file_and_the_pictures_of_one(scans: Path, tmp_path: Path) -> None:
    """Some files of the folder cannot be read, so process 0 ends with status 1."""
    output, pictures = tmp_path / "new/found.jsonl", tmp_path / "pictures"
    processes = start(2, scans, "--output", output, "--annotate", pictures)
    messages = end(processes, timeout_s=120)
    assert [process.returncode for process in processes] == [1, 0], messages
    assert "2 processes share 7 images; the progress is that of the 4 of process 0" in messages[0]
    assert "4 of 7 images could not be read" in messages[0]
    assert "could not be read" not in messages[1].splitlines()[-1]
    assert [path.name for path in output.parent.iterdir()] == ["found.jsonl"]
    names = {path.name for path in pictures.iterdir()}
    assert names == {"a.png", "whole.png", "f-page0.png", "f-page1.png", "f-page2.png"}
    assert output.read_bytes() == result_of_one(scans, output)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "killed", "then"), [(2, 1, 1), (3, 1, 2), (2, 0, 3)])
def test_a_killed_process_stops_no_other_and_any_number_resumes(
    count: int, killed: int, then: int, many_scans: Path, tmp_path: Path
) -> None:
    output = tmp_path / "found.jsonl"
    parts = [tmp_path / f"found.jsonl.part-{number}" for number in range(count)]
    processes = start(count, many_scans, "--output", output)
    wait_for_lines(parts[killed], 8, processes[killed])
    processes[killed].send_signal(signal.SIGKILL)
    messages = end(processes, timeout_s=120)
    assert processes[killed].returncode == -signal.SIGKILL
    assert all(part.exists() for part in parts)
    assert not output.exists()
    if killed:
        assert f"process {killed} of {count} did not come to the end; the others" in messages[0]
        assert [process.returncode for process in processes].count(1) == 1
        images = {
            row["image"] for part in parts if part != parts[killed] for row in read_json_lines(part)
        }
        assert len(images) == 120 - 120 // count  # the others have finished their shares
    else:
        assert "the leader task was preempted/died" in messages[1]
    with parts[-1].open("a") as torn:
        torn.write('{"image": "')
    resumed = start(then, many_scans, "--output", output, "--resume")
    messages = end(resumed, timeout_s=120)
    assert [process.returncode for process in resumed] == then * [0], messages
    assert "of 120 images are finished; continuing" in messages[0]
    assert not list(tmp_path.glob("*.part*"))
    assert output.read_bytes() == result_of_one(many_scans, output)


@pytest.mark.slow
def test_processes_that_see_other_images_are_refused_in_all(scans: Path, tmp_path: Path) -> None:
    """One sees the images of a subfolder; or it sees none; or it does not see the weights."""
    (tmp_path / "empty").mkdir()
    output = ("--resume", "--output", tmp_path / "found.jsonl")
    (tmp_path / "found.jsonl").touch()  # of a run that is finished
    for other, first, last in [
        ((scans / "b",), "expected the same images in all processes", "expected the same images"),
        ((tmp_path / "empty",), "process 1 could not begin: its message says", "holds no images"),
        ((scans, "--weights", "none.safetensors"), "process 1 could not begin", "does not exist"),
    ]:
        processes = start(2, scans, *output, of_one=(*other, *output))
        messages = end(processes, timeout_s=120)
        assert [process.returncode for process in processes] == [1, 1], messages
        assert first in messages[0]
        assert last in messages[1]
    assert list(tmp_path.glob("found*")) == [tmp_path / "found.jsonl"]


def test_one_process_resumes_the_parts_of_several_cut_at_any_byte(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever lines the parts hold, the merged file is the same."""
    output = tmp_path / "found.jsonl"
    assert exit_status("detect", scans, "--output", output) == 1
    whole = output.read_bytes()
    lines = whole.splitlines(keepends=True)
    for first, second in [(3, 5), (4, 6), (5, 9), (3, 8), (5, 5)]:
        output.unlink()
        for suffix, part in (("", lines[2:3]), ("-1", lines[3:first]), ("-12", lines[5:second])):
            torn = b'{"image": ' if suffix else b""
            (tmp_path / f"found.jsonl.part{suffix}").write_bytes(b"".join(part) + torn)
        assert exit_status("detect", scans, "--output", output) == 1
        assert "holds what an interrupted run has finished" in capsys.readouterr().err
        assert exit_status("detect", scans, "--output", output, "--resume") == 1
        assert output.read_bytes() == whole
        assert "4 of 7 images could not be read" in capsys.readouterr().err
        assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("options", [(), ("--output", "found.csv", "--format", "csv")])
def test_several_processes_need_a_file_of_json_lines(
    options: tuple[str, ...], scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--coordinator", "localhost:1", "--num-processes", "2", "--process-id", "0")
    assert exit_status("detect", scans, *options, *arguments) == 1
    assert "expected --format jsonl and --output FILE in each" in capsys.readouterr().err
