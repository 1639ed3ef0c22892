"""Contenders that take turns, each in a process of its own, so that none disturbs another.

A contender waits, idle, while another runs; what the machine does meanwhile meets all of them, so
that ratios within a round mean something where seconds alone do not.
"""

import multiprocessing as mp
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

Call = Callable[[], object]  # all of one unit of work, finished on return
Contender = Callable[[], Call]  # gets ready; importable from the script's top level, or a partial


def take_turns(
    contenders: Mapping[str, Contender], rounds: int, block_seconds: float, warm_up: int
) -> dict[str, list[float]]:
    """Calls a second of each contender in each round.

    In its turn a contender calls for at least so many seconds; before the first it calls so often
    untimed, which compiles what is to be compiled.
    """
    context = mp.get_context("spawn")
    ends: dict[str, Connection] = {}
    for name, contender in contenders.items():
        ends[name], theirs = context.Pipe()
        context.Process(
            target=_contend, args=(contender, block_seconds, warm_up, theirs), daemon=True
        ).start()
        theirs.close()  # so that a contender's death ends the waiting for it
        ends[name].recv()  # ready
    rates: dict[str, list[float]] = {name: [] for name in ends}
    for _ in range(rounds):
        for name, end in ends.items():
            end.send("go")
            rates[name].append(end.recv())
    for end in ends.values():
        end.send("stop")
    return rates


def ratio(rates: Mapping[str, list[float]], one: str, other: str) -> dict[str, float]:
    """How many times the other's rate the one has: the median over the rounds, and the range."""
    ratios = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def _contend(contender: Contender, block_seconds: float, warm_up: int, end: Connection) -> None:
    call = contender()
    for _ in range(warm_up):
        call()
    end.send("ready")
    while end.recv() == "go":
        begun, calls = time.perf_counter(), 0
        while (seconds := time.perf_counter() - begun) < block_seconds:
            call()
            calls += 1
        end.send(calls / seconds)
