"""Reads items ahead of their use, in threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    read: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 4, ahead: int = 8
) -> Iterator[tuple[Item, Result]]:
    """Yields each item with the result of `read`, in order, while threads read the next items.

    Args:
      read: called once for each item, in a thread. If it raises an error, the error is raised again
        when the item would be yielded.
      items: the items to read, such as paths. At most `ahead` + 1 of them are taken in advance.
      workers: the number of threads.
      ahead: the largest number of results that wait to be yielded.

    Yields:
      Pairs of an item and its result.
    """
    pool = ThreadPoolExecutor(workers)
    queue: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            queue.append((item, pool.submit(read, item)))
            if len(queue) > ahead:
                first, future = queue.popleft()
                yield first, future.result()
        while queue:
            first, future = queue.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
