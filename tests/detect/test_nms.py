"""Non-maximum suppression, and suppression of parts of digits."""

import jax.numpy as jnp
import numpy as np
import pytest
from candidate_windows import square_windows

from digits_jax.detect.nms import nms, part_suppression
from digits_jax.detect.steps import NmsConfig, PartSuppressionConfig

CONFIG = NmsConfig()


def keep(*squares: tuple[float, float, float], empty: tuple[int, ...] = ()) -> list[bool]:
    """Runs NMS on squares (x, y, side) by descending priority; those of `empty` have none."""
    priority = np.linspace(1, 0.5, len(squares), dtype=np.float32)
    priority[list(empty)] = -1
    kept = nms(
        square_windows(*squares),
        jnp.asarray(priority),
        radius=CONFIG.radius,
        max_size_ratio=CONFIG.max_size_ratio,
    )
    return np.asarray(kept).tolist()


def test_a_candidate_within_half_of_the_smaller_side_is_suppressed() -> None:
    assert keep((50, 50, 28), (50, 63, 28)) == [True, False]  # 13 px apart, the radius is 14
    assert keep((50, 50, 28), (50, 65, 28)) == [True, True]
    assert keep((50, 50, 28), (60, 60, 28)) == [True, True]  # 14.1 px, on the diagonal
    assert keep((50, 50, 28), (50, 59, 20)) == [True, False]  # 9 px, the radius is 10
    assert keep((50, 50, 28), (50, 59, 16)) == [True, True]  # the radius is 8
    assert keep((50, 50, 28), (50, 57, 16)) == [True, False]


def test_a_suppressed_candidate_suppresses_nothing() -> None:
    assert keep((50, 50, 28), (50, 60, 28), (50, 70, 28)) == [True, False, True]
    assert keep((50, 50, 28), (50, 60, 28), (50, 70, 28), empty=(0,)) == [False, True, False]


def test_a_small_digit_is_kept_inside_one_of_three_times_its_size() -> None:
    assert keep((50, 50, 60), (50, 50, 19)) == [True, True]
    assert keep((50, 50, 19), (50, 50, 60)) == [True, True]
    assert keep((50, 50, 60), (50, 50, 21)) == [True, False]


def is_part_of(whole: tuple[float, ...], *, contact: float = 0.16, priority: float = 0.5) -> bool:
    """Returns whether a window of 20 px at (50, 50) of this contact is suppressed as a part.

    `whole` is the other window: x, y, side, margin and border contact.
    """
    _, _, _, margin, whole_contact = whole
    parts = part_suppression(
        square_windows(whole, (50, 50, 20)),
        jnp.array([margin, 0.99], jnp.float32),
        jnp.array([whole_contact, contact], jnp.float32),
        jnp.array([priority, 1.0], jnp.float32),
        PartSuppressionConfig(),
    )
    assert not parts[0]
    return bool(parts[1])


def test_a_part_is_suppressed_by_a_larger_window_that_sees_the_digit_whole() -> None:
    assert is_part_of((50, 50, 28, 0.31, 0.04))
    assert is_part_of((58.9, 50, 28, 0.31, 0.04))
    assert is_part_of((50, 50, 40, 0.31, 0.04))
    assert is_part_of((56, 56, 28, 0.31, 0.04))  # 8.5 px, on the diagonal


@pytest.mark.parametrize(
    "other",
    [
        (59.1, 50, 28, 0.31, 0.04),  # 0.45 of the smaller window's 20 px are 9
        (56.5, 56.5, 28, 0.31, 0.04),
        (50, 50, 40.1, 0.31, 0.04),  # more than twice as large
        (50, 50, 21.9, 0.31, 0.04),  # of the same level
        (50, 50, 28, 0.29, 0.04),  # a low margin
        (50, 50, 28, 0.31, 0.06),  # not whole
    ],
)
def test_no_other_window_suppresses_a_part(other: tuple[float, ...]) -> None:
    assert not is_part_of(other)


def test_a_whole_digit_is_no_part_and_an_empty_entry_suppresses_nothing() -> None:
    assert not is_part_of((50, 50, 28, 0.31, 0.04), contact=0.14)
    assert not is_part_of((50, 50, 28, 0.31, 0.04), priority=-1.0)


def test_windows_of_one_level_are_no_part_and_whole_though_rounding_differs() -> None:
    side, step = 17.57, 2 * 17.57 / 28
    for k in range(40):
        pair = [(x, 50, side) for x in (k * step, k * step + 6)]
        assert not part_suppression(
            square_windows(*pair),
            jnp.full(2, 0.9, jnp.float32),
            jnp.array([0.2, 0.0], jnp.float32),
            jnp.ones(2, jnp.float32),
            PartSuppressionConfig(),
        ).any()
