"""Messages and progress on a terminal and elsewhere."""

import io
import sys
from collections.abc import Iterator

import pytest

from digits_jax.runtime.progress import ProgressBar, emit, log, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_log_prints_to_standard_error_and_emit_to_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log("message")
    emit("result")
    assert capsys.readouterr() == ("result\n", "message\n")


def test_progress_yields_every_item_and_is_silent_for_30_s_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(progress("abc", "letter", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("total", "is_shown"), [(1, False), (3, True)])
def test_progress_shows_a_bar_on_a_terminal_if_there_are_several_items(
    monkeypatch: pytest.MonkeyPatch, total: int, is_shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(range(total), "image", total)) == list(range(total))
    assert ("3/3" in terminal.getvalue()) == is_shown


def test_an_error_among_the_items_comes_through(capsys: pytest.CaptureFixture[str]) -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("second item")

    reading = progress(items(), "image", 2)
    assert next(reading) == 0
    with pytest.raises(ValueError, match="second item"):
        next(reading)


def test_progress_bar_prints_lines_with_the_remaining_time_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = ProgressBar(200, "step", initial=100, line_interval_s=0.0)
    bar.update(101, "loss 0.5")
    bar.update(200)
    bar.close()
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("step 101/200: loss 0.5, ")
    assert first.endswith(" min remaining")
    assert last == "step 200/200: 0.0 min remaining"


def test_progress_bar_shows_the_state_of_a_resumed_run_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = ProgressBar(200, "step", initial=100)
    bar.update(200, "loss 0.5")
    bar.close()
    assert "100/200" in terminal.getvalue()  # the units of the earlier run
    last = terminal.getvalue().split("\r")[-1]
    assert "200/200" in last
    assert "remaining, loss 0.5]" in last
