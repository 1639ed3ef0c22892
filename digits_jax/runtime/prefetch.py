"""Reading ahead of what is asked for, by threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


def prefetch(
    read: Callable[[Item], Read], items: Iterable[Item], *, workers: int = 4, ahead: int = 8
) -> Iterator[tuple[Item, Read]]:
    """Yields each item with what `read` returns for it, in order, while threads read the next ones.

    Args:
      read: called once an item, in a thread. What it raises is raised when the item's turn comes.
      items: what to read, such as paths. At most `ahead` + 1 of them are taken in advance.
      workers: the number of threads.
      ahead: the most items that wait, read, before they are asked for.

    Yields:
      Pairs of an item and what was read.
    """
    pool = ThreadPoolExecutor(workers)
    waiting: deque[tuple[Item, Future[Read]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > ahead:
                first, reading = waiting.popleft()
                yield first, reading.result()
        while waiting:
            first, reading = waiting.popleft()
            yield first, reading.result()
    finally:
        pool.shutdown(cancel_futures=True)
