"""Reading ahead: in order, by several threads, and no more than is asked for."""

import threading
import time
from contextlib import closing

import pytest

from digits_jax.runtime.prefetch import prefetch


def test_images_are_read_ahead_in_order_and_no_more_than_so_many() -> None:
    begun: list[int] = []

    def read(item: int) -> int:
        begun.append(item)
        time.sleep(0.02 * (item % 3))
        return 10 * item

    reading = prefetch(read, range(3 * 8))
    assert next(reading) == (0, 0)
    assert len(begun) <= 8 + 1
    assert list(reading) == [(item, 10 * item) for item in range(1, 3 * 8)]
    assert sorted(begun) == list(range(3 * 8))


def test_several_workers_read_at_once() -> None:
    together = threading.Barrier(4, timeout=10)  # breaks if they do not all come
    assert len(list(prefetch(lambda _: together.wait(), range(4), workers=4))) == 4


def test_what_reading_raises_comes_in_its_turn() -> None:
    def read(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    reading = prefetch(read, range(5))
    assert [next(reading), next(reading)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="the third"):
        next(reading)


def test_nothing_is_read_any_more_once_nobody_asks() -> None:
    begun: list[int] = []

    def read(item: int) -> None:
        begun.append(item)
        time.sleep(0.1)

    with closing(prefetch(read, range(100), workers=4, ahead=50)) as reading:  # type: ignore[type-var]
        next(reading)
    assert len(begun) <= 12
