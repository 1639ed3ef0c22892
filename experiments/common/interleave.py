"""Times programs in turn, each in a process of its own, so that they do not disturb each other.

A process waits, idle, while another one runs. Whatever else the machine does slows all of them, so
that the ratios within a round are meaningful where the seconds alone are not.
"""

import multiprocessing as mp
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

Call = Callable[[], object]  # does one unit of work; on return it is finished
# Prepares a program and returns its call. A process imports it, so that it must be a function at a
# module's top level, or a `functools.partial` of one.
Contender = Callable[[], Call]


def interleaved_rates(
    contenders: Mapping[str, Contender], rounds: int, block_seconds: float, warm_up: int
) -> dict[str, list[float]]:
    """Measures the calls a second of each contender in each round.

    Args:
      contenders: the programs to time, by name.
      rounds: in each round, every contender runs once, one after the other.
      block_seconds: the least time that a contender calls for in a round.
      warm_up: the number of untimed calls before the first round, which compile the program.

    Returns:
      The rates of each contender by name, in calls a second, one for each round.
    """
    context = mp.get_context("spawn")
    connections: dict[str, Connection] = {}
    for name, contender in contenders.items():
        connections[name], worker_end = context.Pipe()
        context.Process(
            target=_work, args=(contender, block_seconds, warm_up, worker_end), daemon=True
        ).start()
        worker_end.close()  # the worker has the only copy: if it dies, `recv` raises
        connections[name].recv()  # ready
    rates: dict[str, list[float]] = {name: [] for name in connections}
    for _ in range(rounds):
        for name, connection in connections.items():
            connection.send("go")
            rates[name].append(connection.recv())
    for connection in connections.values():
        connection.send("stop")
    return rates


def rate_ratio(
    rates: Mapping[str, list[float]], numerator: str, denominator: str
) -> dict[str, float]:
    """Divides one contender's rates by another's: median, minimum and maximum over the rounds."""
    ratios = [a / b for a, b in zip(rates[numerator], rates[denominator], strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def _work(contender: Contender, block_seconds: float, warm_up: int, connection: Connection) -> None:
    call = contender()
    for _ in range(warm_up):
        call()
    connection.send("ready")
    while connection.recv() == "go":
        start, calls = time.perf_counter(), 0
        while (seconds := time.perf_counter() - start) < block_seconds:
            call()
            calls += 1
        connection.send(calls / seconds)
