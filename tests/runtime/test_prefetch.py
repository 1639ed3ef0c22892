"""Reading ahead in threads: order, limits, errors and early ends."""

import threading
import time
from contextlib import closing

import pytest

from digits_jax.runtime.prefetch import prefetch


def test_items_are_read_in_order_and_at_most_8_ahead() -> None:
    started: list[int] = []

    def read(item: int) -> int:
        started.append(item)
        time.sleep(0.02 * (item % 3))
        return 10 * item

    prefetched = prefetch(read, range(3 * 8))
    assert next(prefetched) == (0, 0)
    assert len(started) <= 8 + 1
    assert list(prefetched) == [(item, 10 * item) for item in range(1, 3 * 8)]
    assert sorted(started) == list(range(3 * 8))


def test_4_workers_read_at_the_same_time() -> None:
    barrier = threading.Barrier(4, timeout=10)  # raises if fewer than 4 wait
    assert len(list(prefetch(lambda _: barrier.wait(), range(4), workers=4))) == 4


def test_an_error_is_raised_when_its_item_is_due() -> None:
    def read(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    prefetched = prefetch(read, range(5))
    assert [next(prefetched), next(prefetched)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="the third"):
        next(prefetched)


def test_closing_cancels_the_reads_that_have_not_started() -> None:
    started: list[int] = []

    def read(item: int) -> None:
        started.append(item)
        time.sleep(0.1)

    with closing(prefetch(read, range(100), workers=4, ahead=50)) as prefetched:  # type: ignore[type-var]
        next(prefetched)
    assert len(started) <= 12  # of 51 that were submitted
